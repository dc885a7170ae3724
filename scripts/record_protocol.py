"""`make protocol`: record how the monitor authenticates, delivers each event type, and is rejoined.

Starts a monitor, speaks to it as any client would, and leaves a run folder of the scenario
`protocol`: the conversations as they were, with their times, and the figures claims rest on.
Takes about a minute, since a client's delays are waited out in real time.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import shlex
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import websockets.asyncio.client
from websockets.exceptions import ConnectionClosed, InvalidStatus

import monitor
from monitor.contract.evidence import (
    TRANSCRIPTS,
    Metric,
    RunRecord,
    RunWriter,
    new_run_id,
)
from monitor.contract.findings import Direction, TranscriptLine
from monitor.contract.launch import Launch
from monitor.contract.provenance import Collector
from monitor.contract.target import Credentials, Target, load_target
from monitor.contract.verdicts import NoVerdictError, RunVerdict, WsproofError
from scripts.cli.app import DEFAULT_RUNS, REFERENCE_TARGET

SCENARIO = "protocol"

#: A client's delays, each to be drawn from the upper half of itself.
SCHEDULE_S = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)

#: What a busy machine may add to a delay before it counts as off the schedule.
LATE_S = 0.25

_ANSWER_S = 15.0
_WRONG = "a token that was never issued"
_STAMP = "2025-01-01T12:00:00Z"
_EVENTS: dict[str, dict[str, object]] = {
    "phase_start": {"phase": "writer"},
    "phase_progress": {"phase": "writer", "progress": 45},
    "phase_update": {"phase": "writer", "status": "in_progress", "progress": 45},
    "checkpoint_created": {"path": "build/checkpoint-1"},
    "file_trashed": {"path": "build/old.html"},
    "phase_complete": {"phase": "writer"},
    "phase_failed": {"phase": "checker", "error": "two links lead nowhere"},
}

Connection = websockets.asyncio.client.ClientConnection


class Transcript:
    """What was said in one conversation, timed from its first word."""

    def __init__(self, check: str, variant: str) -> None:
        self._check, self._variant = check, variant
        self._began: float | None = None
        self.lines: list[TranscriptLine] = []

    def note(self, direction: Direction, summary: str, size_bytes: int = 0) -> None:
        """Add one thing said; its time is now."""
        now = time.perf_counter()
        self._began = now if self._began is None else self._began
        self.lines.append(
            TranscriptLine(
                check=self._check,
                variant=self._variant,
                at_s=now - self._began,
                connection=1,
                direction=direction,
                summary=summary,
                size_bytes=size_bytes,
            )
        )

    def heard(self, *words: str) -> bool:
        """Tell whether any of these words stands in something received."""
        return any(
            word in line.summary
            for line in self.lines
            for word in words
            if line.direction == "received"
        )


async def authenticate(target: Target, way: str, case: str, token: str | None) -> Transcript:
    """Try one way with one token (None: say nothing) and note what was said."""
    found = Transcript("authentication", f"{way}: {case}")
    shown = target.credentials(token or "unused", way)  # type: ignore[arg-type]
    found.note("sent", _opening(way, shown))
    try:
        async with websockets.asyncio.client.connect(
            shown.url, additional_headers=shown.headers, proxy=None
        ) as connection:
            found.note("received", "101 Switching Protocols")
            await _greet(connection, shown, token, found)
    except InvalidStatus as refused:
        found.note("received", f"HTTP {refused.response.status_code}")
    return found


async def _greet(
    connection: Connection, shown: Credentials, token: str | None, found: Transcript
) -> None:
    try:
        async with asyncio.timeout(_ANSWER_S):
            while True:
                text = str(await connection.recv())
                said = json.loads(text)
                found.note("received", _told(said), len(text))
                if said["type"] == "auth_required" and token is not None:
                    assert shown.message is not None  # noqa: S101 - only this way is asked
                    found.note("sent", '{"type":"auth","token":"…"}', len(shown.message))
                    await connection.send(shown.message)
                elif said["type"] == "auth_ok":
                    return
    except ConnectionClosed as closed:
        code = closed.rcvd.code if closed.rcvd else 1006
        reason = closed.rcvd.reason if closed.rcvd else "no close frame"
        found.note("received", f"close {code} {reason}".strip())
    except TimeoutError:
        found.note("note", f"no answer within {_ANSWER_S:g} s")


def _opening(way: str, shown: Credentials) -> str:
    if way == "query":
        return "GET /?token=…"
    return f"GET / + {next(iter(shown.headers))}: …" if shown.headers else "GET /"


def _told(said: dict[str, object]) -> str:
    """Return the gist of a message: its type and what matters of it, in little room."""
    parts = [str(said["type"])]
    parts += [str(said[key]) for key in ("code", "subject") if key in said]
    if isinstance(said.get("scope"), list):
        parts.append("/".join(map(str, said["scope"])))  # type: ignore[call-overload]
    return " ".join(parts)


async def deliver(target: Target, subscribe: str, publish: str) -> list[Transcript]:
    """Publish one event of each type and note when a subscriber reads it."""
    connect = websockets.asyncio.client.connect
    reader, writer = target.credentials(subscribe), target.credentials(publish)
    async with (
        connect(reader.url, additional_headers=reader.headers, proxy=None) as receiving,
        connect(writer.url, additional_headers=writer.headers, proxy=None) as sending,
    ):
        await _until(receiving, "subscribed")
        found = []
        for kind, fields in _EVENTS.items():
            one = Transcript("events", kind)
            event = {"type": kind, "timestamp": _STAMP, **fields}
            text = json.dumps({"type": "publish", "events": [event]}, separators=(",", ":"))
            shown = {key: value for key, value in event.items() if key != "timestamp"}
            one.note("sent", json.dumps(shown, separators=(",", ":")), len(text))
            await sending.send(text)
            got = await _until(receiving, kind)
            one.note("received", _told(got))
            found.append(one)
        return found


async def _until(connection: Connection, kind: str) -> dict[str, object]:
    async with asyncio.timeout(_ANSWER_S):
        while True:
            said: dict[str, object] = json.loads(await connection.recv())
            if said["type"] == kind:
                return said


async def delays(target: Target, token: str) -> list[float]:
    """Return the delays, in seconds, of a client whose monitor is cut off and stays away.

    The client is `wsproof tail` in a process of its own, behind a forwarder that first passes
    everything on, then cuts the connection and refuses whoever comes.
    """
    attempts: asyncio.Queue[float] = asyncio.Queue()
    cut = asyncio.Event()
    host, port = target.url.split("//")[1].rstrip("/").split(":")

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if cut.is_set():
            writer.transport.abort()
            attempts.put_nowait(time.monotonic())
            return
        inner, outer = await asyncio.open_connection(host, int(port))
        async with asyncio.TaskGroup() as group:
            pumps = [
                group.create_task(_pump(reader, outer)),
                group.create_task(_pump(inner, writer)),
            ]
            await cut.wait()
            for pump in pumps:
                pump.cancel()
            for one in (writer, outer):
                one.transport.abort()

    server = await asyncio.start_server(forward, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()[1]
    command = [sys.executable, "-m", "scripts.wsproof", "tail", "--wait", "120"]
    async with server:
        client = await asyncio.create_subprocess_exec(
            *command,
            *("--monitor", f"ws://127.0.0.1:{address}/"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "WSPROOF_TOKEN": token},
        )
        try:
            assert client.stderr is not None  # noqa: S101 - PIPE was asked for
            said = (await client.stderr.readline()).decode()
            if "following" not in said:
                raise NoVerdictError(f"tail did not begin to follow: {said.strip()}")
            instants = [time.monotonic()]
            cut.set()
            with contextlib.suppress(TimeoutError):  # it gave up: what it did is what counts
                for longest in SCHEDULE_S:
                    async with asyncio.timeout(2 * longest + _ANSWER_S):
                        instants.append(await attempts.get())
            return [after - before for before, after in itertools.pairwise(instants)]
        finally:
            with contextlib.suppress(ProcessLookupError):  # it gave up by itself
                client.kill()
            await client.wait()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65536):
        writer.write(chunk)
        await writer.drain()


def on_schedule(found: Sequence[float]) -> int:
    """Count the delays that lie in the upper half of what is due, up to `LATE_S` late."""
    return sum(
        longest / 2 <= delay <= longest + LATE_S
        for delay, longest in zip(found, SCHEDULE_S, strict=False)
    )


async def converse(launch: Launch) -> tuple[list[Transcript], list[float]]:
    """Hold every conversation, side by side where they do not disturb each other."""
    target = launch.target
    reading, writing = launch.token("subscribe"), launch.token("publish")
    assert reading is not None  # noqa: S101 - the reference profile has both
    assert writing is not None  # noqa: S101
    cases: list[tuple[str, str | None]] = [("accepted", reading), ("wrong token", _WRONG)]

    async def ways() -> list[Transcript]:
        found = []
        for way in target.authentication.methods:
            for case, token in cases:
                found.append(await authenticate(target, way, case, token))
        found.append(await authenticate(target, "message", "nothing said", None))
        return found

    async with asyncio.TaskGroup() as group:
        gone = group.create_task(delays(target, reading))
        events = group.create_task(deliver(target, reading, writing))
        admitted = group.create_task(ways())
    return [*admitted.result(), *events.result()], gone.result()


def figures(transcripts: Sequence[Transcript], found: Sequence[float]) -> dict[str, Metric]:
    """Return what the claims are judged by."""

    def ways(case: str, kept: Callable[[Transcript], bool]) -> Metric:
        of_case = [one for one in transcripts if one.lines[0].variant.endswith(f": {case}")]
        return Metric(float(sum(map(kept, of_case))), "ways", "count")

    delivered = [
        one
        for one in transcripts
        if one.lines[0].check == "events" and one.heard(one.lines[0].variant)
    ]
    metrics = {
        "authentication_ways_accepted": ways("accepted", lambda one: one.heard("auth_ok")),
        "authentication_ways_refusing": ways(
            "wrong token", lambda one: not one.heard("auth_ok") and one.heard("HTTP 4", "close 4")
        ),
        "event_types_delivered": Metric(float(len(delivered)), "types", "count"),
        "reconnect_delays_on_schedule": Metric(float(on_schedule(found)), "delays", "count"),
    }
    for number, delay in enumerate(found, 1):
        metrics[f"reconnect_delay_{number}_s"] = Metric(delay, "s", "one delay")
    return metrics


def record(runs: Path, command: str) -> Path:
    """Record one run and return its folder.

    Raises:
        NoVerdictError: the monitor did not start or a client did not begin.
        UsageError: the runs folder cannot be written.
    """
    target = load_target(REFERENCE_TARGET)
    run_id = new_run_id("trace", SCENARIO)
    collector = Collector(command, None, Path(monitor.__file__).parent, target.path)
    with RunWriter(runs, run_id) as writer, Launch(target) as launch:
        transcripts, found = asyncio.run(_within_limits(converse(launch)))
        writer.write_lines(TRANSCRIPTS, (line for one in transcripts for line in one.lines))
        return writer.finish(
            RunRecord(
                id=run_id,
                kind="trace",
                scenario=SCENARIO,
                parameters={"delays_s": " ".join(f"{delay:.2f}" for delay in found)},
                target=target.name,
                target_url=launch.target.url,
                verdict=RunVerdict.VALID,
                reasons=(),
                metrics=figures(transcripts, found),
                repeats=(),
                provenance=collector.finish(),
            )
        )


async def _within_limits(
    work: Awaitable[tuple[list[Transcript], list[float]]],
) -> tuple[list[Transcript], list[float]]:
    """Await all, turning the first fault of a group into the one error that is shown."""
    try:
        return await work
    except* WsproofError as several:
        raise several.exceptions[0] from None


def main(arguments: Sequence[str]) -> int:
    """Record the protocol; print the run folder; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.record_protocol", description=__doc__)
    parser.add_argument("--runs", type=Path, default=DEFAULT_RUNS)
    options = parser.parse_args(arguments)
    try:
        print(record(options.runs, shlex.join(["python", "-m", "scripts.record_protocol"])))
    except WsproofError as error:
        print(f"protocol: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
