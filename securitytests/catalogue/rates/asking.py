"""Asking a service until it refuses: pages and messages, and how a refusal is told from service."""

import asyncio
from collections.abc import Iterable

from monitor.contract.profile import Method
from securitytests.bench import Bench
from securitytests.judging import CannotTellError, Judgement, verdict_of
from securitytests.probe.client import Client
from securitytests.probe.frames import encode_frame
from securitytests.probe.http import Request
from securitytests.probe.peer import ENDS, Handshake

#: Requests under way at a time, where the service promises as many connections.
_AT_A_TIME = 4

#: Share of the window in which all requests must be made, so that none has left it meanwhile.
_SHARE = 0.8


def counted_page(bench: Bench) -> Request:
    """Return a request for a page that needs no token and counts.

    Raises:
        CannotTellError: the profile has none.
    """
    pages = bench.target.pages
    open_pages = [pages.dashboard, *pages.open]
    counted = [page for page in open_pages if page and page not in pages.uncounted]
    if not counted or "http" not in bench.promises.counted:
        raise CannotTellError("the profile has no page that is open and counted")
    return bench.page_request(counted[0])


def without_message(bench: Bench) -> Method:
    """Return a way of authenticating that costs no message, where there is one."""
    return next((method for method in bench.methods if method != "message"), bench.methods[0])


async def ask_all(
    bench: Bench, requests: Iterable[Request], address: str, held: int = 0
) -> list[Handshake]:
    """Make these requests from one address, a few at a time; return the answers in order.

    Never are more connections open than `promises.connections_per_address`, the `held` ones that
    the check keeps from there included: else a refusal might be for those.

    Raises:
        CannotTellError: the `held` ones leave no room.
    """
    promised = bench.promises.connections_per_address
    room = _AT_A_TIME if promised is None else min(_AT_A_TIME, promised - held)
    if room < 1:
        raise CannotTellError(f"{held} of {promised} connections are held: no room for another")
    places = asyncio.Semaphore(room)

    async def ask(request: Request) -> Handshake:
        async with places:
            return await bench.ask(request, address)

    return await asyncio.gather(*(ask(request) for request in requests))


def served(bench: Bench, answers: Iterable[Handshake]) -> int:
    """Return how many of the answers are not the refusal over the limit."""
    refusal = bench.answer("over_limit").status
    return sum(answer.status is not None and answer.status not in refusal for answer in answers)


def beyond(bench: Bench, answer: Handshake, started: float) -> Judgement:
    """Judge that an HTTP request was refused for being one too many since `started` (loop time).

    Raises:
        CannotTellError: it was not, and came so late that earlier ones may have left the window.
    """
    statuses = bench.answer("over_limit").status
    if answer.status not in statuses:
        in_time(bench, started)
    wanted = f"HTTP {' or '.join(map(str, statuses))}"
    return verdict_of(answer.status in statuses, wanted, str(answer))


async def say(bench: Bench, client: Client) -> str:
    """Send the profile's keep-alive message; return the next message heard, or an empty text."""
    assert bench.target.keepalive is not None  # noqa: S101 - callers looked
    await client.peer.send_text(bench.target.keepalive.message)
    heard = await client.peer.receive(5)
    while heard.kind in {"ping", "pong"}:
        heard = await client.peer.receive(5)
    return heard.text if heard.kind == "text" else ""


async def say_all(bench: Bench, client: Client, count: int) -> list[str]:
    """Send the keep-alive message so many times in one write; return what was answered, in order.

    Fewer where the connection ends.
    """
    assert bench.target.keepalive is not None  # noqa: S101 - callers looked
    frame = encode_frame(bench.target.keepalive.message.encode())
    await client.peer.send(frame * count, f"{count} keep-alive messages")
    answers: list[str] = []
    while len(answers) < count:
        heard = await client.peer.receive(5)
        if heard.kind == "text":
            answers.append(heard.text)
        elif heard.kind in ENDS or heard.kind == "silence":
            break
    return answers


def speaks(bench: Bench) -> bool:
    """Tell whether messages are counted.

    Raises:
        CannotTellError: they are, and the profile has none to send.
    """
    if "message" not in bench.promises.counted:
        return False
    if bench.target.keepalive is None:
        bench.cannot_tell("`promises.counted` has messages; give one to send as `keepalive`")
    return True


def in_time(bench: Bench, started: float) -> None:
    """See that what was asked since `started` (loop time) is still within one window.

    Raises:
        CannotTellError: it took too long, so that nothing follows from it.
    """
    took, window = bench.now() - started, bench.promises.window_s
    if took > _SHARE * window:
        raise CannotTellError(f"the requests took {took:.1f} s of a window of {window:g} s")
