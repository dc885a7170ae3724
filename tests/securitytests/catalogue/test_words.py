"""Fields that are not declared are found in events of every type the profile declares."""

import pytest

from monitor.contract.target import load_target
from monitor.contract.verdicts import Verdict
from securitytests.catalogue.leaks.words import declared_fields
from securitytests.gate.mutation import mutated
from tests.securitytests.kit import REFERENCE, audit


@pytest.mark.slow
def test_a_field_of_another_type_than_the_examples_is_found():
    target = mutated(load_target(REFERENCE).shortened(), "failures_tell_the_machine")
    found = audit(declared_fields, target=target)["LK3"]
    assert (found.verdict, found.actual) == (Verdict.FAIL, "process")


@pytest.mark.slow
def test_a_type_of_which_no_event_could_be_made_is_told():
    found = audit(declared_fields)["LK3"]
    assert found.verdict is Verdict.PASS
    assert found.reason.endswith("; no event arrived of phase_update")  # what is a good `status`?
