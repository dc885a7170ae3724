"""From the course of a check to its verdict, and from verdicts to an exit code."""

from datetime import date

import msgspec
import pytest

from monitor.contract.findings import Finding, Observation
from monitor.contract.promises import Waiver
from monitor.contract.verdicts import ExitCode, Severity, UsageError, Verdict
from securitytests.check import Check, Claim
from securitytests.gate.conclude import (
    Course,
    conclude,
    declined,
    exit_code,
    expired,
    require_known,
)

GOOD = Observation("header", Verdict.PASS, "refused", "HTTP 401")
BAD = Observation("query", Verdict.FAIL, "refused", "HTTP 101")
UNSURE = Observation("message", Verdict.INCONCLUSIVE, "tried", "no signing key")


async def nothing(bench):
    """Do nothing."""


def check(name="AU1", claim=Claim.UNAUTHORIZED):
    return Check(name, "t", claim, Severity.HIGH, (), "r", 1.0, nothing, "why", "gentle")


@pytest.mark.parametrize(
    ("course", "verdict", "reason"),
    [
        (Course((GOOD,)), Verdict.PASS, "1 observations"),
        (Course((GOOD,), untried=("no event",)), Verdict.PASS, "1 observations; no event"),
        (Course(()), Verdict.INCONCLUSIVE, "observed nothing"),
        (Course((GOOD, BAD, UNSURE)), Verdict.FAIL, "query: expected refused; got HTTP 101"),
        (Course((GOOD, UNSURE)), Verdict.INCONCLUSIVE, "no signing key"),
        (Course((GOOD,), before="no answer"), Verdict.INCONCLUSIVE, "before the check: no answer"),
        (Course((GOOD,), after="no answer"), Verdict.FAIL, "and not after: no answer"),
        (Course((GOOD,), died="the service ended"), Verdict.FAIL, "the service ended"),
        (Course((GOOD,), problem="boom"), Verdict.INCONCLUSIVE, "boom"),
        (Course((BAD,), problem="boom"), Verdict.FAIL, "HTTP 101"),
        (Course((), inapplicable="no page"), Verdict.INCONCLUSIVE, "must be declined"),
    ],
)
def test_a_course_leads_to_a_verdict_and_no_data_never_passes(course, verdict, reason):
    conclusion = conclude(check(), course)
    assert conclusion.verdict is verdict
    assert reason in conclusion.reason


def test_only_a_baseline_is_not_applicable_by_itself():
    course = Course((), inapplicable="the profile has no page")
    assert conclude(check(claim=None), course).verdict is Verdict.NOT_APPLICABLE


WAIVER = Waiver("AU1", "ops", "links need it", date(2030, 1, 31))


@pytest.mark.parametrize(
    ("course", "verdict"),
    [
        (Course((BAD,)), Verdict.WAIVED),
        (Course((GOOD,)), Verdict.PASS),
        (Course((UNSURE,)), Verdict.INCONCLUSIVE),
        (Course((BAD,), died="the service ended"), Verdict.FAIL),
        (Course((BAD,), after="no answer"), Verdict.FAIL),
    ],
)
def test_a_waiver_excuses_what_was_observed_and_not_that_the_service_is_gone(course, verdict):
    assert conclude(check(), course, [WAIVER]).verdict is verdict


@pytest.mark.parametrize(
    ("course", "verdict"),
    [
        (Course((GOOD, BAD)), Verdict.INCONCLUSIVE),
        (Course((GOOD,)), Verdict.PASS),
        (Course((UNSURE,)), Verdict.INCONCLUSIVE),
        (Course((BAD,), died="the service ended"), Verdict.FAIL),
        (Course((GOOD,), after="no service within 10 s"), Verdict.INCONCLUSIVE),
    ],
)
def test_what_failed_while_the_audit_stood_still_is_no_finding(course, verdict):
    course = msgspec.structs.replace(course, stalled="the audit itself stood still for 2.0 s")
    conclusion = conclude(check(), course)
    assert conclusion.verdict is verdict
    excused = course.observations == (GOOD, BAD) or bool(course.after)
    assert ("stood still" in conclusion.reason) is excused


def test_a_waiver_is_for_one_check():
    every = msgspec.structs.replace(WAIVER, check="*")
    assert conclude(check(), Course((BAD,)), [every]).verdict is Verdict.FAIL


def test_a_waiver_holds_through_its_last_day():
    assert expired([WAIVER], date(2030, 1, 31)) == {}
    lapsed = expired([WAIVER], date(2030, 2, 1))["AU1"]
    assert lapsed.verdict is Verdict.FAIL
    assert lapsed.reason == (
        "key `waivers`: its waiver expired on 2030-01-31 (ops); renew or remove it"
    )


def test_a_check_is_declined_by_its_id_or_its_claim_and_a_baseline_never():
    assert declined(check("RL5"), {"RL*": "no limits"}) == "no limits"
    assert declined(check(), {"unauthorized-rejected": "open to all"}) == "open to all"
    assert declined(check(), {"RL*": "no limits"}) is None
    assert declined(check("HT1", claim=None), {"HT1": "no pages"}) is None


def test_what_is_declined_or_waived_must_exist():
    require_known([check()], {"AU*": "x", "unauthorized-rejected": "y"}, [])
    require_known([check(), check("AU11", claim=None)], {"AU1": "x", "AU1?": "y"}, ["AU11"])
    for name in ("AU9", "AU*", "*", "unauthorized-rejected"):
        with pytest.raises(UsageError, match=r"`waivers`: .* matches no check: expected the id"):
            require_known([check()], {}, [name])


def test_a_name_that_matches_nothing_is_told_with_the_profile_and_the_closest():
    for declines, waived in (({"au1": "x"}, []), ({}, ["au1"])):
        with pytest.raises(UsageError, match=r"^profile x: key .*'au1' .*; did you mean AU1\?$"):
            require_known([check()], declines, waived, "profile x")
    with pytest.raises(UsageError, match=r"did you mean unauthorized-rejected\?"):
        require_known([check()], {"unauthorised-rejected": "x"}, [])


def test_a_baseline_is_not_declined_by_its_own_name():
    with pytest.raises(UsageError, match=r"`declined`: HT1 is a baseline, .* waive"):
        require_known([check("HT1", claim=None)], {"HT1": "no pages"}, [])


@pytest.mark.parametrize("name", ["*", "?*", "[A-Z]*", "A*", "AU[0-9]", "RL1"])
def test_what_is_declined_is_a_check_or_some_of_a_category(name):
    with pytest.raises(UsageError, match=r"`declined`: .* a pattern of one category"):
        require_known([check()], {name: "no"}, [])


@pytest.mark.parametrize("name", ["AU1", "AU*", "unauthorized-rejected"])
def test_what_is_declined_by_any_name_is_not_waived_too(name):
    with pytest.raises(UsageError, match="contradictory: AU1 is declined, too"):
        require_known([check()], {name: "no"}, ["AU1"])


def finding(name, verdict, **more):
    given = (name, "t", verdict, Severity.HIGH, None, (), "r", "x", "", "", (), "again", 0.1)
    return Finding(*given, **more)


@pytest.mark.parametrize(
    ("verdicts", "expected", "code"),
    [
        ({"A": Verdict.PASS}, ["A"], ExitCode.HOLDS),
        ({"A": Verdict.PASS, "B": Verdict.NOT_APPLICABLE}, ["A"], ExitCode.HOLDS),
        ({"A": Verdict.WAIVED}, ["A"], ExitCode.HOLDS),
        ({"A": Verdict.PASS, "B": Verdict.NOT_RUN}, ["A"], ExitCode.HOLDS),
        ({"A": Verdict.FAIL, "B": Verdict.INCONCLUSIVE}, ["A", "B"], ExitCode.BROKEN),
        ({"A": Verdict.PASS, "B": Verdict.INCONCLUSIVE}, ["A", "B"], ExitCode.NO_VERDICT),
        ({"A": Verdict.PASS}, ["A", "B"], ExitCode.NO_VERDICT),
        ({"A": Verdict.NOT_APPLICABLE}, [], ExitCode.NO_VERDICT),
        ({}, [], ExitCode.NO_VERDICT),
    ],
)
def test_the_exit_code_is_zero_only_for_what_was_proven(verdicts, expected, code):
    findings = [finding(name, verdict) for name, verdict in verdicts.items()]
    assert exit_code(findings, expected) is code


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.INCONCLUSIVE])
def test_what_is_only_reported_fails_no_audit_and_alone_proves_nothing(verdict):
    told = finding("B", verdict, gating=False)
    assert exit_code([finding("A", Verdict.PASS), told], ["A", "B"]) is ExitCode.HOLDS
    assert exit_code([told], ["B"]) is ExitCode.NO_VERDICT
    assert told.word == f"{verdict} (reported only)"


def test_a_check_that_is_only_reported_must_have_run_all_the_same():
    assert exit_code([finding("A", Verdict.PASS)], ["A", "B"]) is ExitCode.NO_VERDICT
