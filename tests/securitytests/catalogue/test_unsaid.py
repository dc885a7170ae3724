"""A check that lacks what it would try with says so; it does not pass for what it left out."""

import msgspec
import pytest

from monitor.contract.target import load_target
from securitytests.check import find
from tests.securitytests.kit import REFERENCE, audit

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["RL2", "RL3", "RL6", "RL11"])
def test_messages_that_count_are_not_left_out_for_want_of_one_to_send(name):
    target = msgspec.structs.replace(load_target(REFERENCE).shortened(), keepalive=None)
    finding = audit(find(name), target=target)[name]
    assert finding.verdict == "INCONCLUSIVE", finding.reason
    assert "give one to send as `keepalive`" in finding.reason


def test_readers_that_cannot_be_made_to_fall_behind_prove_nothing():
    target = load_target(REFERENCE).shortened()
    events = msgspec.structs.replace(target.events, text_fields=("error",))
    finding = audit(find("ID6"), target=msgspec.structs.replace(target, events=events))["ID6"]
    assert finding.verdict == "INCONCLUSIVE", finding.reason
    assert "no event can be made large" in finding.reason
