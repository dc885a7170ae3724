import msgspec
import pytest

from monitor.contract.evidence import Metric, load_run
from monitor.contract.verdicts import ExitCode, NoVerdictError, RunVerdict, UsageError
from reports.compare import Change, compare, conclude, differences_table
from reports.keep import keep
from tests.reports import synthetic

STEADY = (1000.0, 1010.0, 990.0, 1005.0, 995.0)


def record_of(run, **metrics):
    found = {
        name: Metric(sorted(values)[len(values) // 2], "us", repeats=values)
        for name, values in metrics.items()
    }
    return synthetic.changed(run.record, metrics=found)


@pytest.fixture
def run(run_of):
    return run_of(synthetic.QUICK)


def change(run, before, after, **more):
    one = record_of(run, response_mean_us=before, **more)
    other = record_of(run, response_mean_us=after, **more)
    (found,) = compare(one, other)
    return found


def test_a_run_beside_itself_has_not_changed(run):
    found = change(run, STEADY, STEADY)
    assert (found.change, found.effect) == (Change.SAME, 0)
    assert conclude([found]) is ExitCode.HOLDS


def test_a_clear_rise_of_latency_is_a_regression(run):
    found = change(run, STEADY, tuple(value + 200 for value in STEADY))
    assert (found.change, found.effect) == (Change.WORSE, 200)
    assert conclude([found]) is ExitCode.BROKEN


def test_a_clear_fall_of_latency_is_better(run):
    assert change(run, STEADY, tuple(value - 200 for value in STEADY)).change is Change.BETTER


def test_a_shift_within_the_spread_of_repeats_is_no_change(run):
    wide = (500.0, 700.0, 1000.0, 1500.0, 2000.0)
    assert change(run, wide, tuple(value + 100 for value in wide)).change is Change.SAME


def test_a_shift_no_larger_than_that_of_the_null_server_is_noise(run):
    one = record_of(run, response_mean_us=STEADY)
    other = record_of(run, response_mean_us=tuple(value + 200 for value in STEADY))
    moved = (
        {"null_response_mean_us": Metric(100, "us")},
        {"null_response_mean_us": Metric(400, "us")},
    )
    one, other = (
        synthetic.changed(record, metrics={**record.metrics, **null})
        for record, null in zip((one, other), moved, strict=True)
    )
    (found,) = compare(one, other)
    assert (found.noise, found.change) == (300, Change.SAME)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"parameters": {"clients": 10}}, r"parameter clients \(50 and 10\)"),
        ({"scenario": "soak"}, r"scenario \(chapter and soak\)"),
        (
            {"provenance": msgspec.structs.replace(synthetic.PROVENANCE, host="other")},
            r"machine \(5e3df1a0b2c4 and other\)",
        ),
        ({"verdict": RunVerdict.INVALID}, "is INVALID"),
    ],
)
def test_runs_that_were_not_made_alike_are_refused(run, changes, says):
    one = record_of(run, response_mean_us=STEADY)
    with pytest.raises(NoVerdictError, match=says):
        compare(one, synthetic.changed(one, **changes))


def test_a_run_that_measured_no_load_is_refused_as_such(tmp_path):
    audit = load_run(synthetic.write_audit(tmp_path, {"HS1": "PASS"})).record
    with pytest.raises(NoVerdictError, match="is of gate and repeated nothing; compare runs of"):
        compare(audit, audit)


def test_too_few_repeats_are_refused(run):
    one = record_of(run, response_mean_us=STEADY[:2])
    with pytest.raises(NoVerdictError, match="2 repeats, at least 3 are needed"):
        compare(one, one)


def test_the_table_has_changes_first_with_their_sign(run):
    table = differences_table([change(run, STEADY, tuple(value + 200 for value in STEADY))])
    assert table.rows[0][:4] == ("`response_mean_us`", "1.00 ms", "1.20 ms", "+0.200 ms")
    assert table.rows[0][-1] == "**WORSE**"


def test_a_kept_run_is_whole_and_keeping_it_again_is_no_harm(run, tmp_path):
    place = keep(run.path, tmp_path)
    assert place == tmp_path / run.record.id
    assert keep(run.path, tmp_path) == place
    assert [path.name for path in tmp_path.iterdir()] == [run.record.id]


def test_another_run_of_the_same_id_is_not_replaced_nor_a_damaged_one_kept(run_of, run, tmp_path):
    keep(run.path, tmp_path)
    with pytest.raises(UsageError, match="another run of that id is kept already"):
        keep(run_of(synthetic.NORMAL).path, tmp_path)
    damaged = tmp_path / "damaged"
    keep(run.path, tmp_path / "other").rename(damaged)
    (damaged / "timeline.csv").chmod(0o644)
    (damaged / "timeline.csv").write_text("x")
    with pytest.raises(NoVerdictError, match=r"timeline\.csv was changed"):
        keep(damaged, tmp_path / "kept")
