"""TLS as the gate sees it: of a service as it is, and where a refusal is for want of it."""

import asyncio
from pathlib import Path

import pytest

from monitor.contract.target import load_target
from monitor.contract.verdicts import UsageError
from securitytests.certificates import certify
from securitytests.gate.plan import make_plan
from securitytests.gate.run import Gate

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
REFERENCE = (ROOT / "monitor" / "target.toml").read_text(encoding="utf-8")
VARIANT = (
    '[variants.tls]\narguments = ["--tls-certificate", "{certificate}", "--tls-key", "{key}"]\n'
)
AT_WSS = REFERENCE.replace('"ws://127.0.0.1:4001/"', '"wss://127.0.0.1:4001/"').replace(VARIANT, "")


def judged(tmp_path, check, profile):
    """Run one check on the monitor as a profile given as text describes it; return its finding."""
    path = tmp_path / "target.toml"
    path.write_text(profile.replace('claims = "claims.toml"\n', ""), encoding="utf-8")
    plan = make_plan(load_target(path), only=check)
    (finding,) = asyncio.run(Gate(plan, lambda *_: None).run()).findings
    return finding


@pytest.mark.parametrize(
    ("profile", "verdict", "said"),
    [
        (REFERENCE, "PASS", ""),
        (REFERENCE.replace('"--host", "0.0.0.0"', '"--hots", "0.0.0.0"'), "INCONCLUSIVE", "--hots"),
        (REFERENCE.replace(VARIANT, ""), "INCONCLUSIVE", "no `variants.tls`"),
    ],
    ids=["for want of TLS", "misspelt", "cannot be shown"],
)
def test_a_refusal_of_a_public_address_counts_only_if_tls_would_lift_it(
    tmp_path, profile, verdict, said
):
    finding = judged(tmp_path, "TL1", profile)
    assert finding.verdict == verdict, finding.reason
    assert said in finding.reason


def test_a_service_that_speaks_tls_as_it_is_is_judged_without_a_variant(tmp_path):
    made = certify(tmp_path)
    encrypted = f'"--tls-certificate", "{made.certificate}", "--tls-key", "{made.key}"]\nready'
    tls = f'[tls]\nrequired = true\nauthority = "{made.authority}"\n\n[short]'
    profile = AT_WSS.replace("]\nready", f", {encrypted}").replace("[short]", tls)
    finding = judged(tmp_path, "TL2", profile)
    assert finding.verdict == "PASS", finding.reason
    tried = {one.variant for one in finding.observations}
    assert tried == {
        *("TLS 1.0", "TLS 1.1", "TLS 1.2", "TLS 1.3"),
        *("another authority", "clear text"),
    }


def test_a_service_that_must_speak_tls_and_does_not_fails(tmp_path):
    profile = AT_WSS.replace("[short]", "[tls]\nrequired = true\n\n[short]")
    finding = judged(tmp_path, "TL2", profile)
    assert finding.verdict == "FAIL"
    assert "expected wss://" in finding.reason


def test_a_service_that_promises_no_tls_has_none_to_be_judged(tmp_path):
    finding = judged(tmp_path, "TL2", REFERENCE.replace(VARIANT, ""))
    assert finding.verdict == "NOT_APPLICABLE"


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_an_authority_that_cannot_be_read_is_a_fault_of_the_profile(tmp_path, content):
    if content is not None:
        (tmp_path / "authority.pem").write_text(content)
    profile = REFERENCE + '[tls]\nauthority = "authority.pem"\n'
    with pytest.raises(
        UsageError, match=r"target\.toml: key `tls.authority`: expected a file of PE"
    ):
        judged(tmp_path, "HT2", profile)
