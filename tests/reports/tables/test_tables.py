"""The other tables: what they count, and what they say where the evidence has nothing."""

from dataclasses import replace

import msgspec

from loadtests.accounting.histogram import Recorder
from loadtests.accounting.spread import FIGURES
from loadtests.figures import Measured, run_metrics
from loadtests.results import HostLoad
from loadtests.sampler import Sample
from monitor.contract.evidence import Metric
from reports.tables.conditions import conditions
from reports.tables.fan_out import fan_out
from reports.tables.generator import generator
from reports.tables.latency import latency
from reports.tables.memory import memory
from reports.tables.own_figures import COMMON, own_figures
from reports.tables.repeats import repeats
from reports.tables.throughput import throughput
from tests.loadtests import test_figures as load_results
from tests.reports import synthetic


def column(table, number):
    return {row[0]: row[number] for row in table.rows}


def test_a_percentile_without_enough_events_says_so(dossier_of):
    table = latency(dossier_of(synthetic.NORMAL))
    assert column(table, 1)["p99.99"] == "n too small"
    assert column(table, 1)["p99"] == "1.85 ms [1.85–1.86 ms]"


def test_response_and_service_time_stand_side_by_side(dossier_of):
    table = latency(dossier_of(replace(synthetic.SLOW, repeats=5)))
    assert table.header == ("", "Response time", "Service time")
    assert column(table, 1)["p50"] == "20.6 ms [20.6–20.6 ms]"
    assert column(table, 2)["p50"] == "20.6 ms [20.6–20.6 ms]"
    assert "500,000 deliveries in 5 repeats" in table.notes[1]


def test_what_the_machine_adds_by_itself_is_told_where_it_was_calibrated(dossier_of):
    dossier = dossier_of(synthetic.NORMAL)
    metrics = {**dossier.record.metrics, "null_response_p99_us": Metric(412.0, "us")}
    record = msgspec.structs.replace(dossier.record, metrics=metrics)
    assert "broadcast had 0.412 ms at p99" in latency(replace(dossier, record=record)).notes[2]


def test_values_outside_the_histogram_are_admitted(dossier_of):
    dossier = dossier_of(synthetic.NORMAL)
    merged = replace(dossier.response.merged, out_of_range=3)
    table = latency(replace(dossier, response=replace(dossier.response, merged=merged)))
    assert table.notes[-1] == "3 deliveries lie outside the histogram's range."


def test_every_delivery_is_accounted_for_to_the_last_one(dossier_of):
    counted = column(throughput(dossier_of(synthetic.LOSSY)), 1)
    assert counted["Deliveries expected"] == "2,750,000"
    assert counted["Deliveries received"] == "2,749,965"
    assert counted["Deliveries lost"] == "35"


def test_a_count_that_was_not_taken_has_no_row(dossier_of):
    assert "Events late" not in column(throughput(dossier_of(synthetic.NORMAL)), 1)


def test_target_and_generator_are_told_apart(dossier_of):
    table = memory(dossier_of(synthetic.NORMAL))
    assert table.header == ("", "Target", "Generator", "Publisher")
    assert table.rows[0] == ("Peak RSS", "41.1 MB", "105 MB", "33.1 MB")


def test_memory_that_could_not_be_read_is_not_zero(dossier_of):
    dossier = dossier_of(synthetic.NORMAL)
    blind = replace(
        dossier.resources.roles["target"],
        rss_bytes=dossier.resources.roles["target"].rss_bytes * float("nan"),
    )
    roles = {**dossier.resources.roles, "target": blind}
    table = memory(replace(dossier, resources=replace(dossier.resources, roles=roles)))
    assert table.rows[0][1] == "not readable"


def test_each_repeat_has_a_row_and_an_unlucky_one_its_reason(dossier_of):
    dossier = dossier_of(synthetic.QUICK)
    first, second = dossier.record.repeats
    doubted = msgspec.structs.replace(second, reasons=("the load average was 4.1",))
    record = msgspec.structs.replace(dossier.record, repeats=(first, doubted))
    table = repeats(replace(dossier, record=record))
    assert [row[0] for row in table.rows] == ["1", "2"]
    assert table.notes == ("Repeat 2: the load average was 4.1.",)


def test_a_single_repeat_needs_no_table_of_repeats(dossier_of):
    assert repeats(dossier_of(replace(synthetic.QUICK, repeats=1))) is None


def test_provenance_names_the_run_the_machine_and_the_code(dossier_of):
    rows = column(conditions(dossier_of(synthetic.NORMAL)), 1)
    assert rows["Run"] == f"`{synthetic.RUN_ID}`"
    assert rows["Measured code (SHA-256)"] == "`c0dec0dec0de…`"
    assert rows["Load average after"] == "1.40, 0.60, 0.40 (1, 5, 15 min)"


def test_the_receivers_of_an_event_are_told_from_first_to_last(dossier_of):
    dossier = dossier_of(synthetic.NORMAL)
    assert fan_out(dossier) is None
    metrics = {
        **dossier.record.metrics,
        "first_receiver_p50_us": Metric(500.0, "us"),
        "last_receiver_p50_us": Metric(900.0, "us"),
        "reach_percent": Metric(99.5, "percent"),
    }
    record = msgspec.structs.replace(dossier.record, metrics=metrics)
    table = fan_out(replace(dossier, record=record))
    assert table.rows[0] == ("First receiver", "0.500 ms", "n too small")
    assert table.rows[2] == ("Last receiver", "0.900 ms", "n too small")
    assert table.notes[1].startswith("Reach: 99.5 %")
    parameters = {**record.parameters, "median_receiver": "unknown with several workers"}
    record = msgspec.structs.replace(record, parameters=parameters)
    table = fan_out(replace(dossier, record=record))
    assert column(table, 1)["Median receiver"] == "unknown with several workers"
    assert column(table, 2)["First receiver"] == "n too small"


def test_what_only_a_scenario_measures_is_told_and_what_others_show_is_not(dossier_of):
    dossier = dossier_of(synthetic.NORMAL)
    assert own_figures(dossier) is None
    metrics = {
        **dossier.record.metrics,
        "recovery_s": Metric(1.5, "s"),
        "joins_refused": Metric(2.0, "joins"),
        "target_storm_rss_peak_bytes": Metric(5e6, "bytes"),
        "together_response_mean_us": Metric(1.0, "us"),
    }
    repeats_ = [msgspec.structs.replace(one, point="together") for one in dossier.record.repeats]
    record = msgspec.structs.replace(dossier.record, metrics=metrics, repeats=tuple(repeats_))
    table = own_figures(replace(dossier, record=record))
    assert table.rows == (
        ("Recovery", "1.50 s"),
        ("Joins refused", "2"),
        ("Target storm RSS peak", "5.00 MB"),
    )


def test_no_figure_that_every_load_has_counts_as_a_scenarios_own(dossier_of):
    dossier = dossier_of(synthetic.NORMAL)
    metrics = run_metrics(full_measurement())
    assert [each for each in COMMON if not any(name.startswith(each) for name in metrics)] == []
    record = msgspec.structs.replace(dossier.record, metrics=metrics)
    assert own_figures(replace(dossier, record=record)) is None


def full_measurement() -> Measured:
    """Return a load of no scenario in particular, of which every figure can be had."""
    plain = load_results.repeat(1, [500] * 100, events=100_000)
    recorder = plain.part.response
    part = msgspec.structs.replace(
        plain.part,
        fanout={name: Recorder.restore(recorder).state() for name in FIGURES},
        loop_lag=recorder,
        moves_lag_p99_us=1.0,
        unread_p99_bytes=1.0,
        unread_max_bytes=2,
        queue_fill_max_percent=3.0,
    )
    result = msgspec.structs.replace(plain, part=part, host=HostLoad(50.0, 1.0), clock_bound_us=1.0)
    within = result.window_start_ns + 1
    samples = [
        Sample(within, 1, role, 1, 10**6, None, 50.0, 5, 1)
        for role in ("target", "generator", "publisher")
    ]
    return load_results.measured([result], tuple(samples))


def test_the_generators_own_account_has_every_figure_it_is_judged_by(dossier_of):
    dossier = dossier_of(synthetic.NORMAL)
    record = msgspec.structs.replace(dossier.record, metrics=run_metrics(full_measurement()))
    rows = column(generator(replace(dossier, record=record)), 1)
    assert rows["Unread, most"] == "2.00 B"
    assert rows["Fullest queue"] == "3.00 %"
    assert {"Read lag, mean", "CPU, Locust", "Null server, mean", "Send lag, most"} <= set(rows)


def test_repeats_are_told_by_what_was_offered_where_that_differs(dossier_of):
    dossier = dossier_of(synthetic.NORMAL)
    repeats_ = [msgspec.structs.replace(one, point="jittered") for one in dossier.record.repeats]
    record = msgspec.structs.replace(dossier.record, repeats=tuple(repeats_))
    assert repeats(replace(dossier, record=record)).rows[0][0] == "1, jittered"
