"""The catalogue as a whole: found by looking, documented, and each check with a flaw to catch."""

from pathlib import Path

import pytest

from monitor.contract.target import load_target
from monitor.contract.verdicts import NoVerdictError, Severity, UsageError
from securitytests.check import Claim, check, discover, find, reference_url, select
from securitytests.mutants.registry import discover as discover_mutants
from securitytests.outputs import catalogue

REFERENCE = Path(__file__).parents[2] / "monitor" / "target.toml"
PAGE = Path(__file__).parents[2] / "docs" / "checks.md"


def test_the_page_says_what_the_checks_say():
    expected = catalogue.page(discover(), discover_mutants())
    assert PAGE.read_bytes() == expected, f"docs/checks.md has drifted; run: {catalogue.REPAIR}"


def test_every_check_has_a_flaw_it_must_catch_and_every_flaw_a_check():
    """A check the monitor is waived for needs none: it catches the monitor as it is."""
    seeded = catalogue.flaws_by_check(discover_mutants().values())
    known = {one.id for one in discover()}
    waived = {one.check for one in load_target(REFERENCE).waivers}
    assert set(seeded) == known - waived


def test_ids_are_in_order_and_globs_choose_among_them():
    checks = discover()
    assert [one.order for one in checks] == sorted(one.order for one in checks)
    chosen = select(checks, "au*, hs1")
    assert {one.category for one in chosen} == {"AU", "HS"}
    assert [one.id for one in chosen if one.category == "HS"] == ["HS1"]


def test_choosing_nothing_is_no_verdict():
    with pytest.raises(NoVerdictError, match=r"none of \d+ checks matches 'ZZ\*'; expected an id"):
        select(discover(), "ZZ*")


def test_a_pattern_that_matches_nothing_is_told_whatever_the_others_match():
    assert [one.id for one in select(discover(), "se2, HS1")] == ["HS1", "SE2"]
    with pytest.raises(NoVerdictError, match=r"matches 'SE22'; did you mean SE2\?"):
        select(discover(), "HS1,SE22")


@pytest.mark.parametrize(
    ("only", "says"),
    [
        ("SE", r"matches 'SE'; did you mean SE\*\?"),
        ("hs1-hs3", r"matches 'hs1-hs3'; did you mean HS\*\?"),
        ("SE 2", r"matches 'SE 2'; did you mean SE2\?"),
        (" , ", r"expected an id such as AU1, or one of AU\*, AZ\*"),
        ("", r"expected an id such as AU1"),
    ],
)
def test_what_matches_nothing_is_answered_with_what_may_be_meant(only, says):
    with pytest.raises(NoVerdictError, match=says):
        select(discover(), only)


def test_a_comma_too_many_chooses_nothing_more():
    assert [one.id for one in select(discover(), "SE2,")] == ["SE2"]


def test_an_unknown_check_is_answered_with_the_closest():
    with pytest.raises(UsageError, match="did you mean"):
        find("AU55")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": "FOO1"}, "two capitals"),
        ({"references": ("A4.4.2",)}, "reference 'A4.4.2'"),
    ],
)
def test_a_check_with_wrong_data_is_refused_where_it_is_written(changes, message):
    right = {
        "id": "ZZ1",
        "title": "t",
        "claim": Claim.IDLE,
        "severity": Severity.LOW,
        "references": ("CWE-1",),
        "remediation": "r",
        "cost_s": 1.0,
        "tier": "gentle",
    }
    with pytest.raises(ValueError, match=message):
        check(**{**right, **changes})


def test_every_check_says_itself_whether_it_is_gentle():
    with pytest.raises(TypeError, match="tier"):
        check(
            id="ZZ1",
            title="t",
            claim=None,
            severity=Severity.LOW,
            references=(),
            remediation="r",
            cost_s=1,
        )


def test_a_check_without_a_reason_is_refused():
    async def silent(bench):
        pass

    decorate = check(
        id="ZZ1",
        title="t",
        claim=None,
        severity=Severity.LOW,
        references=(),
        remediation="r",
        cost_s=1,
        tier="gentle",
    )
    with pytest.raises(ValueError, match="docstring"):
        decorate(silent)


def test_references_lead_somewhere():
    assert reference_url("CWE-306") == "https://cwe.mitre.org/data/definitions/306.html"
    assert reference_url("RFC6455-5.1") == "https://www.rfc-editor.org/rfc/rfc6455#section-5.1"
    assert reference_url("ASVS-4.4.2") is None
