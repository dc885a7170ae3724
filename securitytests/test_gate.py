"""The items of `pytest securitytests`: one for each check of the catalogue."""

import pytest

from monitor.contract.findings import Finding
from monitor.contract.verdicts import Verdict
from securitytests.check import discover


@pytest.mark.parametrize("id", [check.id for check in discover()])
def test_check(id: str, finding: Finding) -> None:  # noqa: A002, ARG001 - names the item
    """Fail if the check found something."""
    if finding.verdict is Verdict.FAIL:
        text = f"{finding.title}: {finding.reason}\nmend: {finding.remediation}"
        pytest.fail(f"{text}\nrepeat: {finding.repeat}", pytrace=False)
