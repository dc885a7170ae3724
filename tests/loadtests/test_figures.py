import numpy as np
import pytest

from loadtests.accounting.histogram import Recorder
from loadtests.figures import Measured, run_metrics
from loadtests.results import RepeatResult
from loadtests.sampler import Sample
from loadtests.validity import Calibration
from tests.loadtests.test_validity import GOOD, PART, PASSAGE, replace


def repeat(number: int, latencies_us: list[int], events: int, lost: int = 0) -> RepeatResult:
    recorder = Recorder()
    recorder.record(np.array(latencies_us, dtype=np.int64) * 1000)
    complete = np.ones(events, dtype=bool)
    complete[:lost] = False
    part = replace(
        PART,
        response=recorder.state(),
        service=recorder.state(),
        complete=np.packbits(complete).tobytes(),
        lost=lost,
        held=PART.admitted if not lost else 0,
    )
    passage = replace(PASSAGE, scheduled=events, sent=events)
    return replace(GOOD, repeat=number, part=part, passage=passage, window_start_ns=number * 10**9)


def measured(results: list[RepeatResult], samples: tuple[Sample, ...] = ()) -> Measured:
    return Measured(tuple(results), samples, Calibration({"response_mean_us": 700.0}), 0, seed=1)


def test_the_value_is_the_median_of_repeats_with_an_interval_from_five_on() -> None:
    means = [100, 200, 300, 400, 500]
    results = [repeat(number, [mean], 1000) for number, mean in enumerate(means, 1)]
    metric = run_metrics(measured(results))["response_mean_us"]
    assert metric.value == 300
    assert metric.repeats == tuple(means)
    assert metric.interval is not None
    assert 100 <= metric.interval[0] < 300 < metric.interval[1] <= 500
    assert metric.samples == 5000
    assert run_metrics(measured(results[:4]))["response_mean_us"].interval is None


def test_the_same_seed_gives_the_same_interval() -> None:
    results = [repeat(number, [number * 37], 1000) for number in range(1, 7)]
    assert run_metrics(measured(results)) == run_metrics(measured(results))


@pytest.mark.parametrize(
    ("repeats", "events", "percentile", "statistic"),
    [
        (1, 1000, "p99", "median of repeats"),
        (1, 999, "p99", None),
        (2, 999, "p99", "all repeats merged"),
        (5, 9_999, "p999", "all repeats merged"),
        (1, 10_000, "p999", "median of repeats"),
        (5, 11_000, "p9999", None),
    ],
)
def test_a_percentile_needs_ten_events_beyond_it(
    repeats: int, events: int, percentile: str, statistic: str | None
) -> None:
    results = [repeat(number + 1, [500] * 50, events) for number in range(repeats)]
    metric = run_metrics(measured(results)).get(f"response_{percentile}_us")
    assert (metric and metric.statistic) == statistic


def test_one_repeat_that_lost_something_lowers_what_was_held() -> None:
    results = [repeat(1, [100], 1000), repeat(2, [100], 1000, lost=4)]
    metrics = run_metrics(measured(results))
    assert metrics["clients_held"].value == 0
    assert metrics["deliveries_lost"].value == 4
    assert metrics["events_per_s"].repeats == (1000, 996)


def test_memory_is_the_targets_peak_from_start_to_end_and_never_the_generators() -> None:
    def sample(at_ns: int, role: str, rss: int) -> Sample:
        return Sample(at_ns, 0, role, 1, rss, None, 50.0, 5, 1)

    window = 1_500_000_000
    samples = (
        sample(0, "target", 900),
        sample(window, "target", 100),
        sample(window, "generator", 5000),
    )
    metrics = run_metrics(measured([repeat(1, [100], 1000)], samples))
    assert metrics["target_rss_peak_bytes"].value == 900
    assert metrics["target_rss_median_bytes"].value == 100
    assert metrics["generator_rss_peak_bytes"].value == 5000
    assert metrics["target_cpu_percent"].value == 50


def test_what_cannot_be_had_is_absent() -> None:
    nothing = replace(GOOD, window_s=0.0)
    metrics = run_metrics(measured([nothing]))
    assert "response_mean_us" not in metrics
    assert "target_rss_peak_bytes" not in metrics
    assert metrics["target_deaths"].value == 0
