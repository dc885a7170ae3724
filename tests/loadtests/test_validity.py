import msgspec
import numpy as np
import pytest

from loadtests.accounting.histogram import Recorder
from loadtests.bounds import RECEIVE_BUFFER_BYTES
from loadtests.results import Admission, HostLoad, Part, Passage, RepeatResult
from loadtests.validity import (
    GENERATOR_CPU_PERCENT,
    QUEUE_FILL_PERCENT,
    Calibration,
    RunJudgement,
    judge_run,
)
from monitor.contract.verdicts import RunVerdict

replace = msgspec.structs.replace

PASSAGE = Passage(
    first=100,
    scheduled=1000,
    sent=1000,
    dropped=0,
    refused=0,
    acknowledged=1000,
    pushed_back=0,
    late=0,
    late_ours=0,
    unsent_ours=0,
    lag_p99_us=100.0,
    lag_max_us=200.0,
    intervals=(),
)
PART = Part(
    offered=2,
    admitted=2,
    refused=0,
    held=2,
    expected=2000,
    received=2000,
    thinned=0,
    lost=0,
    duplicated=0,
    reordered=0,
    response={},
    service={},
    complete=b"\xff" * 125,
    intervals={},
    admissions=(Admission(1, "127.16.0.1", True, "101"),),
    cpu_percent=30.0,
)
GOOD = RepeatResult(
    repeat=1,
    started_at_ns=0,
    window_start_ns=0,
    window_s=1.0,
    interrupted=False,
    part=PART,
    passage=PASSAGE,
    publisher_died=False,
    publisher_fault="",
    first_refusal="",
    publisher_cpu_percent=10.0,
)


def judge(*results: RepeatResult, **conditions: object) -> RunJudgement:
    usual: dict[str, object] = {
        "calibration": Calibration({"response_mean_us": 1000.0}),
        "bounds_us": {"response_mean_us": 5000.0},
        "load_average": 0.5,
        "cores": 2,
        "interrupted": False,
    }
    return judge_run(results, **{**usual, **conditions})  # type: ignore[arg-type]


def late(ours: int, theirs: int = 0) -> RepeatResult:
    passage = replace(PASSAGE, late=ours + theirs, late_ours=ours, pushed_back=theirs)
    return replace(GOOD, passage=passage)


def busy(percent: float) -> RepeatResult:
    return replace(GOOD, part=replace(PART, cpu_percent=percent))


def test_a_generator_that_kept_its_promises_makes_a_valid_run() -> None:
    judged = judge(GOOD, GOOD)
    assert judged == RunJudgement(RunVerdict.VALID, (), ((RunVerdict.VALID, ()),) * 2)


def test_one_late_send_in_a_hundred_is_allowed_and_one_more_is_not() -> None:
    assert judge(late(10)).verdict is RunVerdict.VALID
    judged = judge(late(11))
    assert judged.verdict is RunVerdict.INVALID
    assert "11 of 1,000 events late" in judged.reasons[0]


def test_what_the_target_pushed_back_is_not_the_generators_fault() -> None:
    assert judge(late(0, theirs=900)).verdict is RunVerdict.VALID


def test_events_the_generator_never_sent_count_as_late() -> None:
    unsent = replace(GOOD, passage=replace(PASSAGE, sent=900, dropped=100, unsent_ours=100))
    assert judge(unsent).verdict is RunVerdict.INVALID
    lost = replace(unsent, publisher_fault="the target closed the transport")
    assert judge(lost).verdict is RunVerdict.VALID


def test_a_busy_generator_makes_the_run_invalid() -> None:
    assert judge(busy(GENERATOR_CPU_PERCENT - 0.1)).verdict is RunVerdict.VALID
    judged = judge(busy(GENERATOR_CPU_PERCENT))
    assert judged.verdict is RunVerdict.INVALID
    assert "80 % of a core" in judged.reasons[0]


def starved(*late_us: int) -> RepeatResult:
    lag = Recorder()
    lag.record(np.array(late_us, dtype=np.int64) * 1000)
    return replace(GOOD, part=replace(PART, loop_lag=lag.state()))


def test_receivers_may_be_late_by_a_fifth_of_the_bound_on_average() -> None:
    assert judge(starved(1000)).verdict is RunVerdict.VALID
    judged = judge(starved(1001))
    assert judged.verdict is RunVerdict.INVALID
    assert "the receivers themselves read 1,001 µs late on average" in judged.reasons[0]


def test_a_bound_on_a_percentile_is_held_against_the_receivers_own_percentile() -> None:
    # On average they are punctual: only the tail is theirs.
    now_and_then = starved(*[100] * 980, *[4_500] * 20)
    assert judge(now_and_then).verdict is RunVerdict.VALID
    null = Calibration({"response_p50_us": 500.0, "response_p99_us": 2_000.0})
    bounds = {"response_p50_us": 20_000.0, "response_p99_us": 20_000.0}
    judged = judge(now_and_then, calibration=null, bounds_us=bounds)
    assert judged.verdict is RunVerdict.INVALID
    assert "late (p99), over 20% of the bound of 20,000" in judged.reasons[0]
    assert len(judged.reasons) == 1
    punctual = starved(*[100] * 980, *[3_900] * 20)
    assert judge(punctual, calibration=null, bounds_us=bounds).verdict is RunVerdict.VALID


def filled(percent: float | None) -> RepeatResult:
    return replace(GOOD, part=replace(PART, queue_fill_max_percent=percent))


def test_receivers_that_may_have_held_up_the_target_make_the_run_invalid() -> None:
    below = QUEUE_FILL_PERCENT - 0.1
    assert judge(filled(below), filled(None)).verdict is RunVerdict.VALID
    # What was left out in one repeat was: no other outweighs it.
    judged = judge(*[GOOD] * 4, filled(QUEUE_FILL_PERCENT), bounds_us={})
    assert judged.verdict is RunVerdict.INVALID
    assert "buffer of the generator was 25 % full" in judged.reasons[0]


@pytest.mark.parametrize(
    ("room_bytes", "bounded"),
    [(2 * RECEIVE_BUFFER_BYTES, False), (425_984, True), (None, False)],
)
def test_a_full_receive_buffer_says_what_to_do_and_whether_the_kernel_bounds_it(
    room_bytes: int | None, bounded: bool
) -> None:
    full = filled(60)
    full = replace(full, part=replace(full.part, receive_room_bytes=room_bytes))
    (reason,) = judge(*[GOOD] * 4, full, bounds_us={}).reasons
    assert "give each process fewer clients (more --workers, or fewer --clients)" in reason
    sysctl = f"`sudo sysctl -w net.core.rmem_max={RECEIVE_BUFFER_BYTES}`"
    assert (sysctl in reason) is bounded
    assert ("bounds the buffer to 212,992 bytes" in reason) is bounded


def crowded(busy_percent: float, others_percent: float) -> RepeatResult:
    return replace(GOOD, host=HostLoad(busy_percent, others_percent))


@pytest.mark.parametrize("host", [(100, 19), (89, 80), (50, 0)])
def test_others_do_no_harm_where_a_core_is_free_or_they_take_little(host: tuple[int, int]) -> None:
    assert judge(crowded(*host)).verdict is RunVerdict.VALID


def test_a_full_machine_that_others_filled_judges_no_latency() -> None:
    judged = judge(crowded(100, 60))
    assert judged.verdict is RunVerdict.INVALID
    assert "100 % busy in the window, 60 % with processes that are neither" in judged.reasons[0]
    assert judge(crowded(100, 60), *[GOOD] * 2).verdict is RunVerdict.INVALID  # of none it is known
    wide = {"response_mean_us": 100_000.0}
    assert judge(crowded(100, 60), bounds_us=wide).verdict is RunVerdict.VALID
    quiet = crowded(60, 0)
    assert judge(crowded(100, 60), quiet, quiet).verdict is RunVerdict.SUSPECT


def test_where_no_latency_is_judged_a_full_machine_makes_the_run_suspect() -> None:
    judged = judge(GOOD, replace(crowded(100, 60), repeat=2), bounds_us={})
    assert judged.verdict is RunVerdict.SUSPECT
    assert judged.reasons[0].startswith("repeat 2: all cores were 100 % busy")


def test_what_a_scenario_holds_against_its_figures_makes_the_run_suspect() -> None:
    judged = judge(GOOD, doubts=("capacity: not found",))
    assert judged == RunJudgement(
        RunVerdict.SUSPECT, ("capacity: not found",), ((RunVerdict.VALID, ()),)
    )


def test_a_search_whose_every_trial_missed_an_objective_is_about_the_target() -> None:
    missed = replace(GOOD, counted=False, kept=False, believed=True)
    assert judge(missed, missed).verdict is RunVerdict.VALID


def test_a_search_that_nothing_can_be_believed_of_is_invalid_and_says_why() -> None:
    doubtful = replace(GOOD, counted=False, kept=False, believed=False)
    judged = judge(doubtful, doubts=("capacity: not found",))
    assert judged.verdict is RunVerdict.INVALID
    assert judged.reasons == (
        "nothing that was tried can be believed, so there is nothing to judge",
        "capacity: not found",
    )


def test_receivers_starved_in_one_repeat_of_three_make_the_run_suspect() -> None:
    judged = judge(starved(100), starved(50_000), starved(100))
    assert judged.verdict is RunVerdict.SUSPECT
    assert [verdict for verdict, _ in judged.repeats].count(RunVerdict.INVALID) == 1


def test_the_null_server_may_take_a_fifth_of_the_bound() -> None:
    assert (
        judge(GOOD, calibration=Calibration({"response_mean_us": 1000.0})).verdict
        is RunVerdict.VALID
    )
    judged = judge(GOOD, calibration=Calibration({"response_mean_us": 1001.0}))
    assert judged.verdict is RunVerdict.INVALID
    assert "null server" in judged.reasons[0]


@pytest.mark.parametrize("amiss", [late(30), busy(90.0)])
def test_one_bad_repeat_that_the_others_outweigh_makes_the_run_suspect(
    amiss: RepeatResult,
) -> None:
    judged = judge(*[GOOD] * 4, replace(amiss, repeat=5))
    assert judged.verdict is RunVerdict.SUSPECT
    assert judged.reasons[0].startswith("repeat 5 alone: ")
    assert [verdict for verdict, _ in judged.repeats] == [RunVerdict.VALID] * 4 + [
        RunVerdict.INVALID
    ]


@pytest.mark.parametrize("change", [{"load_average": 2.1}, {"calibration": None}])
def test_doubtful_conditions_make_the_run_suspect(change: dict[str, object]) -> None:
    assert judge(GOOD, **change).verdict is RunVerdict.SUSPECT


def test_loss_refusal_and_a_dead_target_are_figures_and_no_fault_of_the_run() -> None:
    part = replace(PART, held=0, refused=1, received=10, lost=1990)
    dead = replace(GOOD, part=part, publisher_fault="1006")
    assert judge(dead).verdict is RunVerdict.VALID


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"publisher_died": True}, "publisher died"),
        ({"interrupted": True}, "interrupted"),
        ({"faults": ("the load client failed",)}, "load client failed"),
    ],
)
def test_no_pooling_mends_a_broken_repeat(change: dict[str, object], said: str) -> None:
    judged = judge(*[GOOD] * 9, replace(GOOD, **change))
    assert judged.verdict is RunVerdict.INVALID
    assert said in judged.reasons[0]


def test_a_target_that_answers_nobody_was_never_reachable_and_one_that_refuses_was() -> None:
    def answered(answer: str) -> RepeatResult:
        admission = Admission(1, "127.16.0.1", False, answer)
        part = replace(PART, admitted=0, refused=2, admissions=(admission,))
        return replace(GOOD, part=part, window_s=0.0)

    judged = judge(answered("Connection refused"))
    assert judged.verdict is RunVerdict.INVALID
    assert "never reachable: Connection refused" in judged.reasons[0]
    assert judge(answered("429 Too Many Requests")).verdict is RunVerdict.VALID
    # One that was there for the first repeat, or once it was started, was reachable: it died.
    assert judge(GOOD, answered("Connection refused"), deaths=1).verdict is RunVerdict.VALID


def test_an_interruption_before_any_repeat_is_invalid_too() -> None:
    judged = judge(interrupted=True)
    assert judged.verdict is RunVerdict.INVALID
    assert "interrupted" in judged.reasons[0]
