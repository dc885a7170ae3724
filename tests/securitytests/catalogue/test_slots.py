"""A promise of more connections than a service serves."""

import pytest

from monitor.contract.verdicts import Verdict
from securitytests.catalogue.connections.slots import slots
from tests.securitytests.kit import audit


@pytest.mark.slow
def test_where_fewer_are_served_than_promised_there_is_no_slot_to_come_back():
    found = audit(slots, connections_per_address=20)["CN1"]
    assert found.verdict is not Verdict.PASS
    assert "defect" not in found.reason
    after = [seen for seen in found.observations if seen.variant.startswith("after")]
    assert {seen.actual for seen in after} == {"no client is connected whose slot could come back"}
