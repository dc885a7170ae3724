"""A claim on checks is judged by the checks the gate has today, not by those of an old audit."""

import json

import msgspec
import pytest

from monitor.contract.claims import Claim as ClaimOf
from scripts.carrying import spelled_out
from securitytests.check import Claim, discover
from tests.reports import synthetic

CARRIED = {check.id: check.claim.value for check in discover() if check.claim is not None}
REVALIDATION = [name for name, claim in CARRIED.items() if claim == Claim.REVALIDATION]

CLAIM = ClaimOf(
    id="c", label="C", claimed="always", sentence="s", checks=(Claim.REVALIDATION.value, "HS1")
)


def standing(wsproof, folder, name):
    done = wsproof("report", "claims", "--runs", folder, "--json")
    return next(one for one in json.loads(done.stdout) if one["claim"] == name)


def test_the_checks_that_carry_a_claim_are_named_beside_what_it_names_itself():
    (found,) = spelled_out([CLAIM])
    assert found.checks == (Claim.REVALIDATION.value, "HS1", *REVALIDATION)
    (pattern,) = spelled_out([msgspec.structs.replace(CLAIM, checks=("HT*",))])
    assert {"HT1", "HT2"} <= set(pattern.checks)
    measured = msgspec.structs.replace(CLAIM, checks=())
    assert spelled_out([measured]) == (measured,)


@pytest.mark.parametrize(
    ("missing", "verdict", "reason"),
    [
        (0, "TRUE", f"checks_passed >= {len(REVALIDATION)} checks holds"),
        (1, "UNPROVEN", f"{REVALIDATION[-1]} is not in the audit"),
        (2, "UNPROVEN", f"{', '.join(REVALIDATION[-2:])} are not in the audit"),
    ],
)
def test_an_audit_by_a_smaller_gate_proves_no_claim(wsproof, tmp_path, missing, verdict, reason):
    known = {
        name: "PASS" for name in CARRIED if name not in REVALIDATION[-missing or len(CARRIED) :]
    }
    synthetic.write_audit(tmp_path, known, claims=CARRIED)
    stands = standing(wsproof, tmp_path, "validated-on-every-message")
    assert (stands["verdict"], stands["reason"]) == (verdict, reason)


def test_a_failure_found_by_a_smaller_gate_counts(wsproof, tmp_path):
    synthetic.write_audit(tmp_path, {REVALIDATION[0]: "FAIL"}, claims=CARRIED)
    assert standing(wsproof, tmp_path, "validated-on-every-message")["verdict"] == "FALSE"
