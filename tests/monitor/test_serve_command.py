"""`wsproof serve` as people start it: what keeps it from serving is told, with exit code 2."""

import contextlib
import signal
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.running import WSPROOF

from .kit import event
from .peers import Peer, Raw

pytestmark = pytest.mark.slow


def serve(state, *flags):
    """Run a server that ends by itself; return how it ended, and what it said."""
    command = [*WSPROOF, "serve", "--port", "0", "--state", str(state), *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("table", "damage"),
    [
        ("events", "X'7B22FF00'"),
        ("phases", "X'7B22FF00'"),
        ("events", "CAST(replace(payload, '\"offset\":1', '\"offset\":7') AS BLOB)"),
        ("events", "CAST(replace(payload, 'chapter', X'FF') AS BLOB)"),
        ("events", "CAST(substr(payload, instr(payload, X'0A') + 1) AS BLOB)"),
    ],
)
def test_a_damaged_event_in_the_journal_is_told_with_exit_2(start_monitor, table, damage):
    monitor = start_monitor()
    headers = {"Authorization": f"Bearer {monitor.token('publish')}"}
    with Peer(monitor.url, additional_headers=headers) as writer:
        writer.hear()
        assert writer.publish(event(message="chapter"), event(phase="other"))["offsets"] == [1, 2]
    monitor.stop()
    with contextlib.closing(sqlite3.connect(monitor.state / "journal.db")) as journal, journal:
        first = f"(SELECT min(offset) FROM {table})"  # noqa: S608 - ours
        journal.execute(f"UPDATE {table} SET payload = {damage} WHERE offset = {first}")  # noqa: S608
    done = serve(monitor.state)
    assert done.returncode == 2
    assert "journal.db: damaged: " in done.stderr
    assert "move it away" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_what_cannot_be_written_to_stdout_is_told_and_a_closed_one_is_no_matter(tmp_path, loop):
    command = [*WSPROOF, "serve", "--port", "0", "--state", str(tmp_path), "--event-loop", loop]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert done.returncode == 2, done.stderr
    assert "stdout" in done.stderr
    assert "Traceback" not in done.stderr
    closed = ["sh", "-c", 'exec "$@" >&-', "sh", *command]
    with subprocess.Popen(closed, stderr=subprocess.PIPE, text=True) as process:
        serving = next(line for line in process.stderr if " serving ws://" in line)
        port = int(serving.split("localhost:")[1].split("/")[0])
        with Raw(port) as raw:
            raw.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert raw.rest().startswith(b"HTTP/1.1 200 ")
        process.send_signal(signal.SIGTERM)
        assert "Traceback" not in process.stderr.read()
    assert process.returncode == 0


def test_a_taken_port_a_bad_state_folder_and_a_bad_flag_are_told_with_exit_2(
    start_monitor, tmp_path
):
    monitor = start_monitor()
    file = tmp_path / "file"
    file.write_text("")
    for flags, said in (
        (["--port", str(monitor.port)], "taken by another program"),
        (["--state", str(file)], "a file stands there"),
        (["--port", "many"], "--port"),
        (["--host", "0.0.0.0"], "behind_proxy"),
        (["--host", "127.evil.example.org"], "behind_proxy"),
        (["--check", "--state", str(file)], "a file stands there"),
        (["--check", "--state", str(file / "below")], "cannot be created"),
        (["--idle-timeout-s", "-1"], "--idle-timeout-s"),
        (["--trusted-proxies", "moon"], "trusted_proxies"),
        (["--tls-certificate", "x"], "tls_key"),
        (["--nonsense"], "--nonsense"),
    ):
        done = serve(tmp_path / "s", *flags)
        assert done.returncode == 2, flags
        assert said in done.stderr
        assert "Traceback" not in done.stderr
