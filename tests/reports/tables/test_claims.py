from dataclasses import replace

import msgspec
import pytest

from monitor.contract.claims import judge
from monitor.contract.verdicts import RunVerdict
from reports.render_markdown import render_table
from reports.tables.claims import claims as claims_table
from tests.reports import synthetic

NORMAL_TABLE = """\
| Metric | Claimed | Measured |  |
| --- | --- | --- | --- |
| Max concurrent clients | 50 | 50 held (maximum not probed) | **TRUE** |
| Events per second | 1000+ | 1,100/s held | **TRUE** |
| Average latency | <5 ms | 0.888 ms [0.888–0.889 ms] (p50 0.838 ms, p99 1.85 ms, p99.9 2.48 ms,\
 max 14.6 ms) | **TRUE** |
| Memory usage | <100 MB | 41.1 MB peak RSS | **TRUE** |

[a–b] is a 95 % interval over 5 repeats."""


def test_the_table_of_a_normal_run(dossier_of):
    assert render_table(claims_table(dossier_of(synthetic.NORMAL))) == NORMAL_TABLE


def verdicts(dossier):
    return [row[3].strip("*") for row in claims_table(dossier).rows]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (synthetic.NORMAL, ["TRUE", "TRUE", "TRUE", "TRUE"]),
        (synthetic.LOSSY, ["FALSE", "FALSE", "FALSE", "TRUE"]),
        (synthetic.SLOW, ["TRUE", "TRUE", "FALSE", "TRUE"]),
        (synthetic.DEAD, ["FALSE"] * 4),
        (synthetic.INVALID, ["UNPROVEN"] * 4),
        (replace(synthetic.NORMAL, rss_bytes=120_000_000), ["TRUE", "TRUE", "TRUE", "FALSE"]),
        (replace(synthetic.NORMAL, clients=10), ["UNPROVEN"] * 4),
        (replace(synthetic.NORMAL, rate=500), ["TRUE", "UNPROVEN", "UNPROVEN", "UNPROVEN"]),
    ],
)
def test_loss_slowness_and_death_make_claims_false_and_a_lesser_run_leaves_them_open(
    dossier_of, shape, expected
):
    assert verdicts(dossier_of(shape)) == expected


def test_a_row_that_is_not_true_says_why_and_claims_with_one_reason_share_the_line(dossier_of):
    notes = claims_table(dossier_of(synthetic.LOSSY)).notes
    assert notes[:2] == (
        "**FALSE** Max concurrent clients: clients_held >= 50 clients does not hold: it was 43.",
        (
            "**FALSE** Events per second, Average latency: deliveries_lost was 35;"
            " the claim requires deliveries_lost == 0."
        ),
    )


def test_an_invalid_run_says_what_made_it_so(dossier_of):
    notes = claims_table(dossier_of(synthetic.INVALID)).notes
    assert f"The run is INVALID: {synthetic.INVALID.reasons[0]}." in notes


def test_what_fell_short_of_the_offer_is_told_beside_it_and_never_as_held(dossier_of):
    rows = claims_table(dossier_of(synthetic.DEAD)).rows
    assert rows[0][2] == "0 of 50 offered"
    assert rows[1][2] == "440/s [0–1,100/s] of 1,100/s offered"


def test_no_figure_is_called_a_maximum_that_the_offer_limited(dossier_of):
    for row in claims_table(dossier_of(synthetic.NORMAL)).rows[:2]:
        assert "held" in row[2]


def test_a_figure_beside_its_bound_is_told_apart_from_it(dossier_of):
    dossier = dossier_of(synthetic.NORMAL)
    near = msgspec.structs.replace(
        dossier.record.metrics["response_mean_us"], value=4999.2, interval=None
    )
    metrics = {**dossier.record.metrics, "response_mean_us": near}
    judgement = judge(dossier.judgements[2].claim, metrics, RunVerdict.VALID)
    row = claims_table(replace(dossier, judgements=(judgement,))).rows[0]
    assert row[2].startswith("4.999 ms (")


def test_without_judgements_there_is_no_table(dossier_of):
    assert claims_table(replace(dossier_of(synthetic.NORMAL), judgements=())) is None
