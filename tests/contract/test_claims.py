import contextlib
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.contract.claims import (
    Claim,
    Objective,
    holds,
    judge,
    load_claims,
    parse_objective,
)
from monitor.contract.evidence import Metric
from monitor.contract.lines import line_of
from monitor.contract.verdicts import ClaimVerdict, RunVerdict, UsageError

numbers = st.floats(-1e9, 1e9)
spans = st.floats(0, 1e9)
TRUE, FALSE, UNPROVEN = ClaimVerdict


def claim(**changes):
    fields = {
        "id": "latency",
        "label": "Latency",
        "claimed": "<5 ms",
        "sentence": "It takes less than 5 ms.",
        "scenario": "chapter",
        "metric": "mean_us",
        "comparison": "<",
        "bound": 5000.0,
        "unit": "us",
    }
    return Claim(**{**fields, **changes})


def us(value, interval=None):
    return Metric(value, "us", interval=interval)


def verdict(one, metrics, run=RunVerdict.VALID):
    return judge(one, metrics, run).verdict


@given(numbers, numbers)
def test_without_tolerance_the_comparator_is_pythons(value, bound):
    assert holds(value, "<", bound) == (value < bound)
    assert holds(value, "<=", bound) == (value <= bound)
    assert holds(value, ">", bound) == (value > bound)
    assert holds(value, ">=", bound) == (value >= bound)
    assert holds(value, "==", bound) == (value == bound)


@given(numbers, st.sampled_from(["<", "<=", "==", ">=", ">"]), numbers, spans)
def test_a_tolerance_only_ever_helps_the_value(value, comparison, bound, tolerance):
    if holds(value, comparison, bound):
        assert holds(value, comparison, bound, tolerance)


@given(numbers, spans)
def test_a_tolerance_widens_the_bound_by_itself_and_no_more(bound, tolerance):
    assert holds(bound + tolerance, "<=", bound, tolerance)
    assert holds(bound - tolerance, ">=", bound, tolerance)
    beyond = math.nextafter(bound + tolerance, math.inf)
    assert not holds(beyond, "<=", bound, tolerance)


@given(st.sampled_from(["<", "<=", "==", ">=", ">"]), numbers, spans)
def test_a_figure_that_is_no_number_never_holds(comparison, bound, tolerance):
    assert not holds(math.nan, comparison, bound, tolerance)


@given(
    st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True),
    st.sampled_from(["<", "<=", "==", ">=", ">"]),
    st.integers(-(10**6), 10**6),
)
def test_an_objective_reads_back_as_it_was_written(metric, comparison, bound):
    objective = Objective(metric, comparison, float(bound))
    assert parse_objective(f"{metric} {comparison} {bound}") == objective
    assert parse_objective(f"  {metric}{comparison}{bound} ") == objective


def test_one_equals_sign_is_enough():
    assert parse_objective("lost = 0") == Objective("lost", "==", 0.0)


@pytest.mark.parametrize(
    "text", ["", "lost", "lost 0", "lost < ", "Lost < 1", "lost < 1.2.3", "1 < 2"]
)
def test_an_objective_of_another_shape_is_answered_with_an_example(text):
    with pytest.raises(UsageError, match=re.escape(repr(text)) + ".*for example `latency_mean_us"):
        parse_objective(text)


@given(st.text(max_size=40))
def test_any_text_is_an_objective_or_a_usage_error(text):
    with contextlib.suppress(UsageError):
        assert isinstance(parse_objective(text), Objective)


@given(numbers, numbers)
def test_a_claim_is_true_exactly_when_its_figure_keeps_the_bound(value, bound):
    judgement = judge(claim(bound=bound), {"mean_us": us(value)}, RunVerdict.VALID)
    assert judgement.verdict is (TRUE if value < bound else FALSE)
    assert judgement.measured == us(value)
    assert (judgement.margin > 0) == (value < bound)


@given(st.tuples(numbers, numbers, numbers).map(sorted), numbers)
def test_an_interval_decides_only_as_a_whole(ends, bound):
    low, value, high = ends
    found = verdict(claim(bound=bound), {"mean_us": us(value, (low, high))})
    assert found is (TRUE if high < bound else FALSE if low >= bound else UNPROVEN)


@given(numbers, st.lists(st.sampled_from(["a == 0", "b == 0"]), max_size=2))
def test_an_invalid_run_proves_nothing_either_way(value, requires):
    metrics = {"mean_us": us(value), "a": Metric(1, "x"), "b": Metric(1, "x")}
    assert verdict(claim(requires=tuple(requires)), metrics, RunVerdict.INVALID) is UNPROVEN


def test_a_suspect_run_is_judged_like_any_other():
    assert verdict(claim(), {"mean_us": us(1)}, RunVerdict.SUSPECT) is TRUE


def test_no_figure_is_unproven_and_named():
    judgement = judge(claim(), {}, RunVerdict.VALID)
    assert (judgement.verdict, judgement.reason) == (UNPROVEN, "no mean_us in the evidence")


def test_a_broken_requirement_makes_a_good_figure_false():
    judgement = judge(
        claim(requires=("lost == 0",)),
        {"mean_us": us(1), "lost": Metric(3, "deliveries")},
        RunVerdict.VALID,
    )
    assert judgement.verdict is FALSE
    assert judgement.reason == "lost was 3; the claim requires lost == 0"
    assert judgement.margin == 4999


def test_a_missing_requirement_leaves_the_claim_unproven_unless_another_is_broken():
    one = claim(requires=("absent == 0", "deaths == 0"))
    assert verdict(one, {"mean_us": us(1), "deaths": Metric(0, "deaths")}) is UNPROVEN
    assert verdict(one, {"mean_us": us(1), "deaths": Metric(1, "deaths")}) is FALSE


def test_a_run_that_offered_less_proves_nothing_however_good_its_figure():
    one = claim(given=("clients >= 50",))
    few, enough = {"clients": Metric(10, "clients")}, {"clients": Metric(50, "clients")}
    judgement = judge(one, {"mean_us": us(1), **few}, RunVerdict.VALID)
    assert judgement.verdict is UNPROVEN
    assert judgement.reason == "clients was 10; the claim speaks of clients >= 50"
    assert verdict(one, {"mean_us": us(1), **enough}) is TRUE
    assert verdict(one, {"mean_us": us(9000), **enough}) is FALSE
    assert verdict(one, {"mean_us": us(1)}) is UNPROVEN


def test_what_breaks_under_less_than_the_given_load_is_false_all_the_same():
    one = claim(requires=("deaths == 0",), given=("clients >= 50",))
    metrics = {"clients": Metric(10, "clients"), "deaths": Metric(1, "deaths")}
    assert verdict(one, metrics) is FALSE


def test_a_figure_in_another_unit_is_not_compared():
    judgement = judge(claim(), {"mean_us": Metric(4, "ms")}, RunVerdict.VALID)
    assert (judgement.verdict, judgement.reason) == (UNPROVEN, "mean_us is in ms, the claim in us")


@pytest.mark.parametrize(
    ("comparison", "value", "margin"),
    [("<", 4000, 1000), ("<=", 6000, -1000), (">", 6000, 1000), (">=", 4000, -1000)],
)
def test_a_margin_is_positive_where_there_is_room(comparison, value, margin):
    judgement = judge(claim(comparison=comparison), {"mean_us": us(value)}, RunVerdict.VALID)
    assert judgement.margin == margin


@pytest.mark.parametrize("comparison", ["<=", ">="])
def test_no_room_at_all_is_a_margin_of_nought_without_a_sign(comparison):
    judgement = judge(claim(comparison=comparison), {"mean_us": us(5000)}, RunVerdict.VALID)
    assert str(judgement.margin) == "0.0"


def test_the_margin_of_an_equality_is_what_is_left_of_the_tolerance():
    one = claim(comparison="==", tolerance=10)
    assert judge(one, {"mean_us": us(5004)}, RunVerdict.VALID).margin == 6


def document(*claims):
    return "format = 1\n" + "".join(f"[[claim]]\n{each}\n" for each in claims)


GOOD = """id = "a"
label = "A"
claimed = "<1"
sentence = "s"
scenario = "chapter"
metric = "m"
comparison = "<"
bound = 1
unit = "us"
"""


def test_the_monitors_own_claims_load():
    from pathlib import Path

    import monitor

    claims = load_claims(Path(monitor.__file__).parent / "claims.toml")
    load = [one.claimed for one in claims if one.group == "load"]
    assert load == ["50", "1000+", "<5 ms", "<100 MB"]
    groups = {"load", "security", "limits", "events", "authentication", "reconnecting"}
    assert {one.group for one in claims} == groups
    assert sum(one.group == "security" for one in claims) == 5


CHECKED = """id = "b"
label = "B"
claimed = "always"
sentence = "s"
checks = ["HS*"]
"""


def test_a_claim_is_decided_by_a_metric_by_checks_or_openly_by_nothing(tmp_path):
    file = tmp_path / "claims.toml"
    unmeasured = CHECKED.replace('"b"', '"c"').replace('checks = ["HS*"]', 'unmeasured = "x"')
    file.write_text(document(GOOD, CHECKED, unmeasured))
    assert [one.checks for one in load_claims(file)] == [(), ("HS*",), ()]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (document(GOOD, GOOD), "line 14: claim 'a': stands twice"),
        (
            document(GOOD.replace("bound", "bond")),
            r"line 10: unknown key `claim\[0\].bond`; did you mean `bound`",
        ),
        (document(GOOD.replace('"<"', '"~"')), r"line 9: key `claim\[0\].comparison`"),
        (document(GOOD + 'requires = ["lost"]'), "line 12: claim 'a': objective 'lost': expected"),
        (document(GOOD + 'given = ["many"]'), "line 12: claim 'a': objective 'many': expected"),
        (document(GOOD + 'checks = ["A"]'), "line 3: claim 'a': expected one of .* and `checks`"),
        (document(GOOD, CHECKED.replace("checks", "given")), "line 14: .* got none of them"),
        (document(GOOD.replace("bound = 1\n", "")), "line 8: claim 'a': `metric` needs `bound`"),
        ("format = 2\n", "line 1: key `format`"),
        (document(GOOD.replace('id = "a"', 'id = "a b"')), "line 3: claim 'a b': expected an id"),
        (
            re.sub("sentence = .*", 'sentence = " "', document(GOOD)),
            "line 6: .*`sentence` is empty",
        ),
        (document(GOOD.replace("bound = 1", "bound = nan")), "line 10: .*`bound` is nan"),
        (document(GOOD + "tolerance = -1"), "line 12: .*`tolerance` is -1.0"),
    ],
)
def test_a_mistaken_claims_document_is_named_with_its_line_and_key(tmp_path, text, says):
    file = tmp_path / "claims.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=says) as caught:
        load_claims(file)
    assert str(file) in str(caught.value)


def test_the_line_is_found_past_strings_that_look_like_claims():
    text = 'a = """\n[[claim]]\nid = 1\n"""\n[[claim]]\n"id" = 2\n[[ claim ]]\nx = 1\n'
    assert line_of(text, "claim", 0, "id") == 6
    assert line_of(text, "claim", 1, "id") == 7


def test_without_an_interval_one_repeat_over_the_bound_leaves_the_claim_unproven() -> None:
    claim = Claim("c", "l", "<5 ms", "s", "chapter", "m", "<", 5.0, "ms")
    for repeats, verdict in (
        ((1.0, 1.0, 100.0), ClaimVerdict.UNPROVEN),
        ((1.0, 2.0, 3.0), ClaimVerdict.TRUE),
        ((6.0, 7.0, 100.0), ClaimVerdict.FALSE),
    ):
        metric = Metric(sorted(repeats)[1], "ms", repeats=repeats)
        assert judge(claim, {"m": metric}, RunVerdict.VALID).verdict is verdict
