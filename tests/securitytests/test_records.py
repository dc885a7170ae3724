"""What operators are told: a counter's rise is read from metrics, and no page proves nothing."""

import pytest

from securitytests.catalogue.operations.records import _risen

COUNTER = 'refusals_total{reason="idle"}'
BEFORE = f'# TYPE refusals_total counter\n{COUNTER} 2.0\nrefusals_total{{reason="x"}} 9\n'


@pytest.mark.parametrize(
    ("before", "after", "verdict", "actual"),
    [
        (BEFORE, BEFORE.replace("2.0", "5.0"), "PASS", "by 3"),
        (BEFORE, BEFORE.replace("2.0", "4.0"), "FAIL", "by 2"),
        ("", f"{COUNTER} 3 1700000000\n", "PASS", "by 3"),  # a line may end with its time
        (BEFORE, BEFORE, "FAIL", "by 0"),
        (None, BEFORE, "INCONCLUSIVE", "the page of metrics is not shown"),
        (BEFORE, None, "INCONCLUSIVE", "the page of metrics is not shown"),
    ],
)
def test_a_counter_must_have_risen_by_what_was_brought_about(before, after, verdict, actual):
    judgement = _risen(COUNTER, before, after, 3)
    assert (judgement.verdict, judgement.actual) == (verdict, actual)
