"""`wsproof load` as people start it: exit codes, evidence, nothing left."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from loadtests.catalogue import REFERENCE
from monitor.contract.evidence import list_runs
from monitor.contract.tables import ADMISSIONS, RESOURCES, TIMELINE
from monitor.contract.verdicts import RunVerdict
from scripts.wsproof import run
from tests.loadtests.commands import CLAIM, Folders, Profile
from tests.loadtests.conftest import KNOWN_SERVER, NULL_SERVER

pytestmark = pytest.mark.slow

WSPROOF = [sys.executable, "-m", "scripts.wsproof", "load"]
SMALL = ["--clients", "4", "--rate", "200", "--warmup", "0.3", "--duration", "1.5"]


class Refused:
    """Runs a load that is refused before anything is started, in this process."""

    def __init__(self, folders: Folders, capsys: pytest.CaptureFixture[str]) -> None:
        self._folders = folders
        self._capsys = capsys
        self.said = ""

    def __call__(self, profile: Path, *arguments: str) -> int:
        """Return the exit code; nothing may be left."""
        runs = ["--runs", str(self._folders.runs)]
        code = run(["load", "chapter", "--target", str(profile), *runs, *SMALL, *arguments])
        self.said = self._capsys.readouterr().err
        assert list_runs(self._folders.runs) == []
        self._folders.assert_nothing_left()
        return code


@pytest.fixture
def refused(
    folders: Folders, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Refused:
    monkeypatch.setattr(tempfile, "tempdir", str(folders.temporary))
    return Refused(folders, capsys)


def load(
    folders: Folders, profile: Path, trace: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    command = [*WSPROOF, "chapter", "--target", str(profile), "--runs", str(folders.runs)]
    return subprocess.run(
        [*command, "--trace", str(trace), *SMALL, *arguments],
        env=folders.environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def test_a_target_made_slow_makes_the_latency_claim_false(
    profile: Profile, trace: Path, folders: Folders
) -> None:
    # A bound so wide, and a target so slow, that no busy machine is to blame for either.
    claim = CLAIM.replace("5000", "250000")
    slow = profile([*KNOWN_SERVER, "constant=0.5"], claims=claim)
    done = load(folders, slow, trace, "--repeats", "2", "--json")
    outcome = json.loads(done.stdout)
    assert outcome["claims"] == {"latency": "FALSE"}, outcome["reasons"]
    assert outcome["metrics"]["response_mean_us"] > 500_000
    assert done.returncode == outcome["exit_code"] == 1
    assert Path(outcome["report"]).is_file()
    run = folders.run()
    assert len(run.record.repeats) == 2
    assert len(list(run.rows(TIMELINE))) == 4
    assert {row[0] for row in run.rows(ADMISSIONS)} == {1, 2}
    assert {row[2] for row in run.rows(RESOURCES)} >= {"target", "generator"}
    addresses = [row[2] for row in run.rows(ADMISSIONS)]
    assert set(addresses[:4]).isdisjoint(addresses[4:])
    assert {histogram.repeat for histogram in run.histograms()} == {0, 1, 2}
    folders.assert_nothing_left()


@pytest.mark.parametrize(
    ("number", "when", "measured"),
    [
        (signal.SIGINT, "repeat 1 of 5: measuring", True),
        (signal.SIGTERM, "calibrating on the null server: measuring", False),
    ],
)
def test_an_interruption_keeps_what_there_is(
    profile: Profile,
    trace: Path,
    folders: Folders,
    number: signal.Signals,
    when: str,
    measured: bool,
) -> None:
    target = profile(NULL_SERVER, claims=CLAIM)
    command = [*WSPROOF, "chapter", "--target", str(target), "--runs", str(folders.runs)]
    command += ["--trace", str(trace), *SMALL, "--duration", "30"]
    with subprocess.Popen(
        command,
        env=folders.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        while when not in (line := process.stderr.readline()):
            assert line
        time.sleep(0.5)  # into the window: its progress is not printed line by line
        process.send_signal(number)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "interrupted" in said
    record = folders.run().record
    assert record.verdict is RunVerdict.INVALID
    assert ("deliveries_expected" in record.metrics) is measured
    assert not measured or record.metrics["deliveries_expected"].value > 0
    folders.assert_nothing_left()


def test_a_target_killed_in_the_middle_misses_an_objective_nobody_set(
    profile: Profile, trace: Path, folders: Folders
) -> None:
    # The bound is wide, so that the run is VALID anywhere; what came in time came in time.
    claim = CLAIM.replace("5000", "2000000").partition("requires")[0]
    target = profile(NULL_SERVER, claims=claim)
    command = [*WSPROOF, "chapter", "--target", str(target), "--runs", str(folders.runs)]
    command += ["--trace", str(trace), *SMALL, "--json"]
    with subprocess.Popen(
        command,
        env=folders.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        while "repeat 1 of 5: measuring" not in (line := process.stderr.readline()):
            assert line
        children = psutil.Process(process.pid).children()
        (server,) = [child for child in children if "loadtests.nullserver" in child.cmdline()]
        server.kill()
        said, _ = process.communicate(timeout=60)
    outcome = json.loads(said)
    assert outcome["metrics"]["target_deaths"] == 1
    assert outcome["metrics"]["deliveries_lost"] > 0
    assert outcome["metrics"]["clients_held"] == 0
    claims = outcome["claims"]
    assert claims["objective: deaths = 0"] == "FALSE", outcome["reasons"]
    assert claims["objective: lost = 0"] == "FALSE"
    assert process.returncode == 1
    folders.assert_nothing_left()


def test_a_target_we_did_not_start_and_know_no_process_of_may_die_too(
    trace: Path, folders: Folders, tmp_path: Path
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "loadtests.nullserver"], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        url = json.loads(server.stdout.readline())["url"]
        target = tmp_path / "theirs.toml"
        target.write_text(f'name = "theirs"\nurl = "{url}"\n[publish]\nmessage = "{{event}}"\n')
        command = [*WSPROOF, "chapter", "--target", str(target), "--runs", str(folders.runs)]
        # The bound is wide, so that the run is VALID anywhere.
        command += ["--trace", str(trace), *SMALL, "--objective", "mean < 5 s", "--json"]
        with subprocess.Popen(
            command,
            env=folders.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stderr is not None
            while "repeat 1 of 5: measuring" not in (line := process.stderr.readline()):
                assert line
            server.kill()
            said, _ = process.communicate(timeout=60)
    outcome = json.loads(said)
    assert outcome["metrics"]["target_deaths"] == 1
    assert outcome["claims"]["objective: deaths = 0"] == "FALSE", outcome["reasons"]
    assert process.returncode == outcome["exit_code"] == 1
    folders.assert_nothing_left()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--clients", "0"], 2, "--clients 0: expected 1 or more"),
        (["--rate", "-5"], 2, "--rate -5: expected"),
        (["--rate", "1000000"], 2, "cannot be reached"),
        (["--trace", "none.jsonl"], 2, "trace none.jsonl: cannot be read"),
        (["--trace", "/dev/null"], 2, "trace /dev/null: is empty; record one with"),
        (["--runs", "/proc/none"], 2, "runs folder /proc/none: cannot be written"),
        (["--clients", "10000000"], 2, "ulimit -n"),
        (["--clients", "many"], 2, "--clients"),
        (["--objective", "p99 < soon"], 2, "expected METRIC COMPARISON NUMBER"),
        (["--duration", "nan"], 2, "--duration nan: expected 0.5 or more"),
        (["--duration", "inf"], 2, "pass a shorter duration"),
        (["--workers", "0"], 2, "--workers 0: expected 1 or more"),
        (["--workers", "5"], 2, "at most one for each of 4 clients"),
        (["--warmup", "inf"], 2, "--warmup inf"),
        (["--seed", "-1"], 2, "--seed"),
        (["--objective", "p99 < 1e400"], 2, "more than a number can hold"),
        (["--objective", "p99 < 0 ms"], 2, "expected more than 0 µs, got 0"),
        (["--rate", "0.1"], 2, "--rate 0.1: no event is due in the measured window of 1.5 s"),
        (["churn"], 2, "unexpected extra argument"),
    ],
)
def test_wrong_input_gets_one_message_and_leaves_nothing(
    profile: Profile, trace: Path, refused: Refused, arguments: list[str], code: int, said: str
) -> None:
    assert refused(profile(NULL_SERVER), "--trace", str(trace), *arguments) == code
    assert said in refused.said
    assert "Traceback" not in refused.said


def test_a_target_that_is_not_there_gives_no_verdict(tmp_path: Path, refused: Refused) -> None:
    absent = tmp_path / "absent.toml"
    absent.write_text(
        'name = "nobody"\nurl = "ws://127.0.0.1:9/"\n[publish]\nmessage = "{event}"\n'
    )
    assert refused(absent) == 3
    assert "not reachable: Connection refused" in refused.said


def test_a_page_whose_port_is_taken_is_refused_before_anything_is_started(
    profile: Profile, refused: Refused
) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):  # somebody else has it: as good
            taken.bind(("127.0.0.1", 8089))
            taken.listen()
        assert refused(profile(NULL_SERVER), "--ui") == 2
    assert "--ui: Locust's page wants 127.0.0.1:8089" in refused.said
    assert "leave out --ui" in refused.said


def test_few_events_are_no_fault_of_this_host(
    profile: Profile, trace: Path, folders: Folders
) -> None:
    few = ["--rate", "1", "--duration", "6", "--repeats", "1", "--json"]
    done = load(folders, profile(NULL_SERVER), trace, *few)
    outcome = json.loads(done.stdout)
    assert outcome["metrics"]["null_response_mean_us"] > 0
    assert outcome["metrics"]["events_sent"] > 0


def test_a_target_that_refuses_the_recorded_events_is_quoted(
    trace: Path, folders: Folders, tmp_path: Path
) -> None:
    nonsense = tmp_path / "nonsense.jsonl"
    nonsense.write_text(trace.read_text().replace("phase_progress", "nonsense"))
    told = json.loads(load(folders, REFERENCE, nonsense, "--repeats", "1", "--json").stdout)
    assert told["exit_code"] != 0
    note = told["notes"][0]
    assert note.startswith("Repeat 1: the target refused events, first with: ")
    assert '"code":"' in note


def test_a_program_is_told_why_a_scenario_does_not_apply(
    profile: Profile, folders: Folders, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--target", str(profile(NULL_SERVER)), "--runs", str(folders.runs), "--json"]
    assert run(["load", "resume", *arguments]) == 3
    outcome = json.loads(capsys.readouterr().out)
    assert (outcome["verdict"], outcome["exit_code"]) == ("NOT_APPLICABLE", 3)
    assert outcome["reasons"][0].startswith("scenario resume needs `")


def test_a_host_that_is_not_loopback_is_refused(tmp_path: Path, refused: Refused) -> None:
    foreign = tmp_path / "foreign.toml"
    foreign.write_text(
        'name = "elsewhere"\nurl = "ws://192.0.2.1/"\n[publish]\nmessage = "{event}"\n'
    )
    assert refused(foreign) == 5
    assert "--i-am-allowed-to-test 192.0.2.1" in refused.said


def test_an_interruption_while_it_still_starts_ends_with_a_word(
    profile: Profile, trace: Path, folders: Folders
) -> None:
    command = [*WSPROOF, "chapter", "--target", str(profile(NULL_SERVER))]
    with subprocess.Popen(
        [*command, "--runs", str(folders.runs), "--trace", str(trace)],
        env=folders.environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        started = psutil.Process(process.pid)
        while not any("multiarray" in mapped.path for mapped in started.memory_maps()):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)  # the command is at its imports
        _, said = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "interrupted" in said
    assert "Traceback" not in said
    folders.assert_nothing_left()


ONCE = """
import pathlib, sys
from loadtests import nullserver

mark = pathlib.Path(sys.argv[1]) / "started"
if mark.exists():
    sys.exit("once is enough")
mark.touch()
nullserver.run(nullserver.Broadcaster)
"""


def test_a_target_that_does_not_come_back_misses_the_objective(
    profile: Profile, trace: Path, folders: Folders, tmp_path: Path
) -> None:
    target = profile(["{python}", "-c", ONCE, "{state}", "{port}"])
    with target.open("a", encoding="utf-8") as file:
        file.write('acknowledged = "never"\n')
    command = [*WSPROOF, "reconnect-storm", "--target", str(target), "--runs", str(folders.runs)]
    done = subprocess.run(
        # Long enough for a busy machine to end the target before the window is over.
        [*command, "--trace", str(trace), *SMALL, "--duration", "5", "--json"],
        env=folders.environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    outcome = json.loads(done.stdout)
    assert outcome["metrics"]["target_deaths"] == 1
    # On a machine too busy to restart anything on time the run is INVALID and judges nothing.
    invalid = outcome["verdict"] == "INVALID"
    assert outcome["metrics"].get("clients_not_back") == 4 or invalid
    judged = outcome["claims"]["objective: clients_not_back = 0"]
    assert judged == ("UNPROVEN" if invalid else "FALSE")
    assert done.returncode == (3 if invalid else 1)
    folders.assert_nothing_left()
