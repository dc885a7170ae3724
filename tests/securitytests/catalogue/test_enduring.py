"""A promise that an attack seems to break is broken only where the machine is quiet again."""

import pytest

from monitor.contract.verdicts import Verdict
from securitytests.bench import Bench
from securitytests.catalogue.rates.enduring import judge_attack
from securitytests.watch import Watched
from tests.securitytests.kit import audit, made

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("bound_ms", "verdict", "reason"),
    [
        (10_000.0, Verdict.FAIL, "expected an honest p99 of at most 10000 ms; got 1.1e+04 ms"),
        (0.001, Verdict.INCONCLUSIVE, "the machine is too busy, try again"),
    ],
    ids=["quiet", "busy"],
)
def test_a_missed_bound_is_a_finding_only_if_an_honest_pair_by_itself_is_quick(
    bound_ms, verdict, reason
):
    """What is too slow for any machine stands for a busy one."""

    async def probe(bench: Bench) -> None:
        slow = Watched(latencies_s=[11.0], rss_peak_bytes=1, recovery_s=0.1)
        await judge_attack(bench, slow)

    found = audit(made("ZA1", probe, server="own", alone=True), attacked_p99_ms=bound_ms)["ZA1"]
    assert found.verdict is verdict, found.reason
    assert reason in found.reason
