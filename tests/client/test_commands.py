"""`wsproof publish` and `wsproof tail` as processes, against the real monitor."""

import json
import os
import signal
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from tests.running import WSPROOF, RunningMonitor

pytestmark = pytest.mark.slow
NOBODY = "ws://127.0.0.1:1"


def publish(
    monitor: RunningMonitor, *arguments: str, stdin: str = "", token: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*WSPROOF, "publish", "--monitor", monitor.url, "--state", str(monitor.state), *arguments],
        input=stdin,
        env={**os.environ, "WSPROOF_TOKEN": token},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class Tail:
    """A `wsproof tail` that is following."""

    def __init__(self, monitor: RunningMonitor, *arguments: str) -> None:
        command = [*WSPROOF, "tail", "--monitor", monitor.url, "--state", str(monitor.state)]
        self.process = subprocess.Popen(
            [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr is not None
        self.began = self.process.stderr.readline()

    def next(self) -> dict[str, object]:
        assert self.process.stdout is not None
        event: dict[str, object] = json.loads(self.process.stdout.readline())
        return event

    def end(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> tuple[int, str]:
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, said


def test_a_published_event_prints_its_offset_and_is_tailed(monitor: RunningMonitor) -> None:
    tail = Tail(monitor)
    done = publish(monitor, "--type", "phase_progress", "--phase", "w", "--progress", "45")
    assert (done.returncode, done.stdout) == (0, "1\n")
    event = tail.next()
    assert (event["phase"], event["progress"], event["offset"]) == ("w", 45, 1)
    assert tail.end() == (0, "")


def test_the_same_id_prints_the_same_offset(monitor: RunningMonitor) -> None:
    arguments = ("--type", "file_trashed", "--path", "a", "--id", "once")
    assert [publish(monitor, *arguments).stdout for _ in range(2)] == ["1\n", "1\n"]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("nope", "expected a JSON object"),
        ("[1]", "expected a JSON object"),
        ('{"type":"phase_progress","phase":"w","progress":101}', "progress"),
        ('{"type":"phase_progress","phase":"w"}', "`progress`"),
        ('{"type":"phase_start","phase":"w","password":"x"}', "password"),
    ],
)
def test_a_bad_line_is_named_and_those_before_it_are_published(
    monitor: RunningMonitor, bad: str, said: str
) -> None:
    good = '{"type":"phase_start","phase":"w"}'
    done = publish(monitor, "-", stdin=f"{good}\n\n{good}\n{bad}\n{good}\n")
    assert (done.returncode, done.stdout) == (2, "1\n2\n")
    assert "line 4: " in done.stderr
    assert said in done.stderr


def test_thousands_of_lines_are_stored_in_order(monitor: RunningMonitor) -> None:
    lines = "".join(f'{{"type":"file_trashed","path":"{n}"}}\n' for n in range(3_000))
    done = publish(monitor, "-", stdin=lines)
    assert done.stdout.split() == [str(n) for n in range(1, 3_001)]


@pytest.mark.parametrize(
    "arguments", [(), ("--phase", "w"), ("-", "--type", "phase_start"), ("file.jsonl",)]
)
def test_publish_without_a_clear_source_is_wrong_usage(
    monitor: RunningMonitor, arguments: tuple[str, ...]
) -> None:
    assert publish(monitor, *arguments).returncode == 2


@pytest.mark.parametrize("command", ["publish", "tail"])
def test_nobody_listening_is_exit_code_three(command: str, tmp_path: Path) -> None:
    arguments = ["--type", "file_trashed", "--path", "x"] if command == "publish" else []
    done = subprocess.run(
        [*WSPROOF, command, "--monitor", NOBODY, "--token", "t", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1
    assert "connection refused" in done.stderr


def test_no_token_says_how_to_get_one(monitor: RunningMonitor, tmp_path: Path) -> None:
    done = publish(monitor, "--type", "file_trashed", "--path", "x", "--state", str(tmp_path))
    assert done.returncode == 2
    assert "wsproof token issue --subject NAME --scope publish" in done.stderr


def test_a_bad_token_and_one_that_allows_too_little_are_exit_code_two(
    monitor: RunningMonitor,
) -> None:
    event = ("--type", "file_trashed", "--path", "x")
    bad = publish(monitor, *event, token="no.such.token")
    little = publish(monitor, *event, token=monitor.token("subscribe"))
    assert (bad.returncode, little.returncode) == (2, 2)
    assert "401" in bad.stderr
    assert "no.such.token" not in bad.stderr
    assert "scope" in little.stderr


def test_since_an_offset_everything_after_it_is_shown(monitor: RunningMonitor) -> None:
    for path in "abc":
        publish(monitor, "--type", "file_trashed", "--path", path)
    tail = Tail(monitor, "--since", "1")
    assert "2 events were missed and follow" in tail.began
    assert [tail.next()["path"], tail.next()["path"]] == ["b", "c"]
    tail.end()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_trace_appears_whole_when_the_recording_ends(
    monitor: RunningMonitor, tmp_path: Path, number: signal.Signals
) -> None:
    trace = tmp_path / "trace.jsonl"
    tail = Tail(monitor, "--record", str(trace))
    for path in "abc":
        publish(monitor, "--type", "file_trashed", "--path", path)
        tail.next()
    assert not trace.exists()
    status, said = tail.end(number)
    assert (status, "3 events recorded" in said) == (0, True)
    header, *lines = map(json.loads, trace.read_text().splitlines())
    assert header["events"] == 3
    assert [line["event"]["path"] for line in lines] == ["a", "b", "c"]
    assert all(earlier["at_us"] < later["at_us"] for earlier, later in pairwise(lines))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state", "trace.jsonl"]


def test_a_monitor_killed_meanwhile_costs_no_recorded_event(
    monitor: RunningMonitor, tmp_path: Path
) -> None:
    trace = tmp_path / "trace.jsonl"
    tail = Tail(monitor, "--record", str(trace), "--wait", "0")
    publish(monitor, "--type", "file_trashed", "--path", "a")
    tail.next()
    monitor.kill()
    status, said = tail.wait()
    assert status == 3
    saved, lost = said.splitlines()
    assert "1 events recorded" in saved
    assert "connection" in lost
    assert len(trace.read_text().splitlines()) == 2


def test_a_monitor_that_comes_back_is_followed_on(monitor: RunningMonitor) -> None:
    tail = Tail(monitor)
    publish(monitor, "--type", "file_trashed", "--path", "a")
    assert tail.next()["offset"] == 1
    monitor.kill()
    monitor.start()
    publish(monitor, "--type", "file_trashed", "--path", "b")
    assert tail.next()["offset"] == 2
    assert tail.end()[0] == 0


def test_a_reader_that_goes_away_ends_the_tail_quietly(monitor: RunningMonitor) -> None:
    tail = Tail(monitor)
    assert tail.process.stdout is not None
    tail.process.stdout.close()
    publish(monitor, "--type", "file_trashed", "--path", "a")
    assert tail.process.stderr is not None
    assert (tail.process.wait(60), tail.process.stderr.read()) == (0, "")
    tail.process.stderr.close()
