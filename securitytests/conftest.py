"""`pytest securitytests --target FILE`: the gate as pytest items, with the gate's verdicts.

One gate runs all selected checks together; each item tells what it concluded. FAIL is a failure,
INCONCLUSIVE an error; NOT_APPLICABLE, WAIVED and what the gentle tier leaves out are skipped with
their reason, and so is what is reported only. The exit status is the gate's own, 0, 1, 2, 3 or 5,
unless something else than the gate failed or kept the session from its end.
"""

from collections.abc import Generator
from pathlib import Path

import msgspec
import pytest

from monitor.contract import target as profiles
from monitor.contract.findings import Finding
from monitor.contract.verdicts import ExitCode, Verdict, WsproofError
from securitytests.gate.conclude import exit_code
from securitytests.gate.interruption import run_interruptibly
from securitytests.gate.plan import Permissions, Plan, make_plan
from securitytests.gate.run import Gate

_REFERENCE = Path(profiles.__file__).parents[1] / "target.toml"

_ITEM = "test_check["


class AuditResults(msgspec.Struct):
    """What the session's one gate concluded, or the error that kept it from running."""

    findings: dict[str, Finding] = {}
    error: WsproofError | None = None


_results: pytest.StashKey[AuditResults] = pytest.StashKey()
_plan: pytest.StashKey[Plan] = pytest.StashKey()
_told: pytest.StashKey[int] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the options of `wsproof audit` that make sense here."""
    group = parser.getgroup("wsproof")
    group.addoption("--target", type=Path, default=_REFERENCE, help="target profile (TOML)")
    group.addoption("--real-time", action="store_true", help="promised durations, not short ones")
    group.addoption(
        "--i-am-allowed-to-test", action="append", metavar="HOST", help="a host beyond loopback"
    )


@pytest.fixture(scope="session")
def audit(request: pytest.FixtureRequest) -> AuditResults:
    """Run the gate once, with the checks that are selected in this session."""
    return request.config.stash.setdefault(_results, _run(request.session))


def _run(session: pytest.Session) -> AuditResults:
    option = session.config.getoption
    chosen = [
        item.callspec.id
        for item in session.items
        if isinstance(item, pytest.Function) and item.name.startswith(_ITEM)
    ]
    try:
        plan = make_plan(
            profiles.load_target(option("--target")),
            only=",".join(chosen),
            real_time=option("--real-time"),
            permissions=Permissions(tuple(option("--i-am-allowed-to-test") or ())),
        )
        outcome = run_interruptibly(Gate(plan, lambda *_: None).run())
    except WsproofError as error:
        return AuditResults(error=error)
    session.config.stash[_plan] = plan
    return AuditResults({finding.id: finding for finding in outcome.findings})


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Count the failures that tell what the gate concluded, as pytest counts all."""
    report = yield
    if report.failed and item.name.startswith(_ITEM):
        stash = item.config.stash
        stash[_told] = stash.get(_told, 0) + 1
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Exit with the gate's code, unless pytest itself has something graver to say."""
    stash = session.config.stash
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        session.exitstatus = ExitCode.NO_VERDICT
    others_failed = session.testsfailed > stash.get(_told, 0)
    if exitstatus not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED} or others_failed:
        return
    results, plan = stash.get(_results, None), stash.get(_plan, None)
    if results is not None and results.error is not None:
        session.exitstatus = results.error.exit_code
    elif results is not None and plan is not None:
        session.exitstatus = exit_code(results.findings.values(), plan.expected)


@pytest.fixture
def finding(request: pytest.FixtureRequest, audit: AuditResults) -> Finding:
    """Return what the gate found for this item; an error where it could not conclude."""
    if audit.error is not None:
        pytest.fail(str(audit.error), pytrace=False)
    found = audit.findings[request.node.callspec.id]
    if found.verdict in {Verdict.NOT_APPLICABLE, Verdict.WAIVED, Verdict.NOT_RUN}:
        pytest.skip(f"{found.verdict}: {found.waiver or found.reason}")
    if found.word != found.verdict:
        pytest.skip(f"{found.word}: {found.reason}")
    if found.verdict is Verdict.INCONCLUSIVE:
        pytest.fail(f"{found.verdict}: {found.reason}", pytrace=False)
    return found
