"""`wsproof publish`: one event from flags, or many from JSON Lines on stdin."""

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from monitor.contract.verdicts import NoVerdictError, UsageError
from scripts.cli.app import DEFAULT_STATE, StateOption, app

if TYPE_CHECKING:
    from monitor.client.background import Background
    from monitor.client.link import Link

MonitorOption = Annotated[
    str, typer.Option("--monitor", envvar="WSPROOF_MONITOR", help="The monitor's URL.")
]
TokenOption = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="WSPROOF_TOKEN",
        show_envvar=True,
        help="A token; issued by itself where --state is this user's own.",
    ),
]
MONITOR = "ws://localhost:4001"

#: What the monitor takes. It judges; this is for the help, and for a word of advice.
EVENT_TYPES = (
    "phase_start",
    "phase_progress",
    "phase_complete",
    "phase_failed",
    "phase_update",
    "checkpoint_created",
    "file_trashed",
)

#: Lines read from stdin at a time go out as one batch, up to so many.
_BATCH_LINES = 500
_READ_BYTES = 65_536

Line = tuple[int, bytes]


@app.command()
def publish(
    source: Annotated[
        str | None, typer.Argument(metavar="[-]", help="- reads events as JSON Lines from stdin.")
    ] = None,
    kind: Annotated[str | None, typer.Option("--type", help=", ".join(EVENT_TYPES))] = None,
    phase: Annotated[str | None, typer.Option()] = None,
    status: Annotated[str | None, typer.Option()] = None,
    progress: Annotated[float | None, typer.Option(help="0 to 100.")] = None,
    message: Annotated[str | None, typer.Option()] = None,
    path: Annotated[str | None, typer.Option()] = None,
    error: Annotated[str | None, typer.Option()] = None,
    run: Annotated[str | None, typer.Option()] = None,
    id_: Annotated[str | None, typer.Option("--id", help="Makes repeating this safe.")] = None,
    monitor: MonitorOption = MONITOR,
    token: TokenOption = None,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Publish events; print the offset each was stored at."""
    given = {
        "type": kind,
        "phase": phase,
        "status": status,
        "progress": progress,
        "message": message,
        "path": path,
        "error": error,
        "run": run,
        "id": id_,
    }
    event = {name: value for name, value in given.items() if value is not None}
    from_stdin = source == "-"
    if source is not None and not from_stdin:
        raise UsageError(f"publish {source}: expected options, or - to read events from stdin")
    if from_stdin == bool(event) or (event and kind is None):
        raise UsageError("publish: expected either --type TYPE and its fields, or - alone")
    if event and kind not in EVENT_TYPES:
        raise UsageError(f"publish --type {kind}: expected one of {', '.join(EVENT_TYPES)}")
    from monitor.client.background import Background
    from monitor.client.link import open_link
    from scripts.credentials import endpoint_for

    endpoint = endpoint_for(monitor, token, "publish", state)
    with Background("wsproof-publish") as background:
        link = background.call(open_link(endpoint))
        try:
            if from_stdin:
                for batch in _batches(sys.stdin.fileno()):
                    _publish_lines(background, link, batch)
            else:
                _print(_send(background, link, [_stamped(event)], "event"))
        finally:
            background.call(link.close())


def _publish_lines(background: "Background", link: "Link", lines: Sequence[Line]) -> None:
    """Publish lines up to the first bad one, and say which that is."""
    good: list[bytes] = []
    fault: UsageError | None = None
    for number, line in lines:
        try:
            good.append(_event(line))
        except ValueError as error:
            fault = UsageError(f"line {number}: {error}; the lines before it are published")
            break
    if good:
        try:
            _print(_send(background, link, good, f"line {lines[0][0]}"))
        except _RefusedEventError as refused:
            if refused.index:
                before = good[: refused.index]
                _print(_send(background, link, before, f"line {lines[0][0]}"))
            number = lines[refused.index][0]
            raise UsageError(
                f"line {number}: {refused}; the lines before it are published"
            ) from None
    if fault is not None:
        raise fault


class _RefusedEventError(UsageError):
    """The monitor refused a batch because of the event at `index`."""

    def __init__(self, text: str, index: int) -> None:
        super().__init__(text)
        self.index = index


def _send(
    background: "Background", link: "Link", payloads: Sequence[bytes], what: str
) -> list[int]:
    """Publish one batch and return its offsets; waits as long as the monitor asks it to."""
    from monitor.client.errors import LinkLostError
    from monitor.client.messages import Ack, Refusal
    from monitor.client.messages import publish as encode

    while True:
        ref = link.reference()
        try:
            background.call(link.send(encode(payloads, ref)))
            answer = background.call(link.answer(ref))
        except LinkLostError as lost:
            raise NoVerdictError(
                f"{lost}; from {what} on nothing is known to be stored. Publishing it again is"
                " safe for events that have an id"
            ) from None
        match answer:
            case Ack(offsets=offsets):
                return offsets
            case Refusal(retryable=True, retry_after=after):
                time.sleep(after or 1.0)
            case Refusal(index=int(index), message=text):
                raise _RefusedEventError(text, index)
            case Refusal(message=text):
                raise UsageError(f"{what}: the monitor refused it: {text}")
            case other:
                raise NoVerdictError(f"{what}: expected an acknowledgement, got {other}")


def _batches(descriptor: int) -> Iterator[list[Line]]:
    """Yield numbered lines in batches of what has arrived: a slow source is not waited for."""
    rest = b""
    number = 0
    while chunk := os.read(descriptor, _READ_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        for start in range(0, len(lines), _BATCH_LINES):
            part = lines[start : start + _BATCH_LINES]
            yield _numbered(number, part)
            number += len(part)
    yield _numbered(number, [rest])


def _numbered(before: int, lines: Iterable[bytes]) -> list[Line]:
    return [(number, line) for number, line in enumerate(lines, before + 1) if line.strip()]


def _event(line: bytes) -> bytes:
    """Return a line's event, with the present time if it has none.

    Raises:
        ValueError: it is not a JSON object.
    """
    import msgspec

    try:
        event = msgspec.json.decode(line)
    except msgspec.DecodeError as error:
        raise ValueError(f"expected a JSON object: {error}") from None
    if not isinstance(event, dict):
        raise ValueError(f"expected a JSON object, got {type(event).__name__}")  # noqa: TRY004
    return _stamped(event)


def _stamped(event: dict[str, Any]) -> bytes:
    import msgspec

    from monitor.client.reporting import utc_timestamp

    return msgspec.json.encode({"timestamp": utc_timestamp(), **event})


def _print(offsets: Iterable[int]) -> None:
    for offset in offsets:
        print(offset, flush=True)
