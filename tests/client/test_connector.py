"""Against small foreign servers: what a monitor in trouble, or no monitor at all, answers."""

import asyncio
import json
import time
from contextlib import aclosing

import pytest
from websockets.asyncio.server import ServerConnection

from monitor.client import (
    ClientError,
    ForbiddenError,
    LinkLostError,
    Patience,
    ProtocolError,
    UnauthorizedError,
    UnreachableError,
)
from monitor.client.backoff import Backoff
from monitor.client.connector import Connector
from monitor.client.link import Endpoint, open_link
from monitor.client.messages import CloseCode, ErrorCode, Subscribed
from tests.client.foreign import AUTH_OK, answering


class Quick(Backoff):
    """Short delays, counted."""

    def __init__(self) -> None:
        super().__init__(lambda: 0.0, first_s=0.002, longest_s=0.008)
        self.drawn: list[float] = []

    def next(self) -> float:
        self.drawn.append(super().next())
        return self.drawn[-1]


async def silent(connection: ServerConnection) -> None:
    await connection.wait_closed()


async def welcome_and_wait(connection: ServerConnection) -> None:
    await connection.send(AUTH_OK)
    await connection.wait_closed()


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, UnauthorizedError), (403, ForbiddenError), (404, ProtocolError), (200, ProtocolError)],
)
async def test_a_refused_handshake_that_stays_refused_is_final(
    status: int, error: type[ClientError]
) -> None:
    async with answering(silent, status) as url:
        with pytest.raises(error) as refused:
            await open_link(Endpoint(url, "secret-token"))
    assert "secret-token" not in str(refused.value)


@pytest.mark.parametrize(("code", "error"), [(4401, UnauthorizedError), (4403, ForbiddenError)])
async def test_a_close_that_means_no_is_final(code: int, error: type[ClientError]) -> None:
    async def refuse(connection: ServerConnection) -> None:
        await connection.close(code, "no")

    async with answering(refuse) as url:
        with pytest.raises(error, match=str(code)):
            await open_link(Endpoint(url, "t"))


async def test_a_monitor_that_wants_a_token_is_told_none_was_given() -> None:
    async def ask(connection: ServerConnection) -> None:
        await connection.send('{"type":"auth_required"}')
        await connection.wait_closed()

    async with answering(ask) as url:
        with pytest.raises(UnauthorizedError, match="none was given"):
            await open_link(Endpoint(url))


@pytest.mark.parametrize("greeting", ["hello", '{"type":"welcome"}x', "[1]", '{"type":"pong"}'])
async def test_another_service_is_recognised(greeting: str) -> None:
    async def greet(connection: ServerConnection) -> None:
        await connection.send(greeting)
        await connection.wait_closed()

    async with answering(greet) as url:
        with pytest.raises(ProtocolError, match="expected"):
            await open_link(Endpoint(url, "t"))


async def test_messages_of_an_unknown_type_are_passed_over() -> None:
    async def newer(connection: ServerConnection) -> None:
        await connection.send('{"type":"announcement","text":"hi"}')
        await connection.send(AUTH_OK)
        await connection.send(
            '{"type":"subscribed","epoch":"e","offset":3,"recovered":false,"count":0}'
        )
        await connection.wait_closed()

    async with answering(newer) as url:
        link = await open_link(Endpoint(url, "t"))
        assert await link.receive() == Subscribed(epoch="e", offset=3, recovered=False, count=0)
        await link.close()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"detail": "too many requests"}', "too many requests (HTTP 429); try again in 7 s"),
        (b'{"detail": "\\u001b[2J"}', ": not now (HTTP 429)"),
        (b'{"detail": "%s"}' % (b"x" * 81), ": not now (HTTP 429)"),
        (b'{"detail": 5}', ": not now (HTTP 429)"),
        (b"\xff", ": not now (HTTP 429)"),
        (b"", ": not now (HTTP 429)"),
    ],
)
async def test_a_refusal_says_what_the_problem_says_if_that_is_fit_to_be_shown(
    body: bytes, said: str
) -> None:
    async with answering(silent, 429, {"Retry-After": "7"}, body) as url:
        with pytest.raises(LinkLostError) as refused:
            await open_link(Endpoint(url, "t"))
    assert said in str(refused.value)
    assert str(refused.value).isprintable()


async def test_retry_after_of_a_refused_handshake_is_waited_out() -> None:
    async with answering(silent, 429, {"Retry-After": "1"}) as url:
        connector = Connector(Endpoint(url, "t"), backoff=Quick(), patience=Patience(first_s=3))
        began = time.monotonic()
        with pytest.raises(UnreachableError, match="429"):
            await anext(connector.links())
        assert time.monotonic() - began >= 1.0


@pytest.mark.parametrize(
    "last_words",
    [
        {"type": "server_shutdown", "retry_after": 0.3},
        {
            "type": "error",
            "code": "rate_limited",
            "message": "slow down",
            "retryable": True,
            "retry_after": 0.3,
        },
    ],
)
async def test_retry_after_in_a_message_is_waited_out_after_the_close(
    last_words: dict[str, object],
) -> None:
    opened: list[float] = []

    async def dismiss(connection: ServerConnection) -> None:
        opened.append(time.monotonic())
        await connection.send(AUTH_OK)
        if len(opened) == 1:
            await connection.send(json.dumps(last_words))
            await connection.close(1012)
        await connection.wait_closed()

    async with answering(dismiss) as url:
        connector = Connector(Endpoint(url, "t"), backoff=Quick())
        async with aclosing(connector.links()) as links:
            first = await anext(links)
            await first.receive()
            with pytest.raises(ClientError):
                await first.receive()
            await anext(links)
    assert opened[1] - opened[0] >= 0.3


async def test_delays_grow_while_authentications_do_not_last() -> None:
    async def drop(connection: ServerConnection) -> None:
        await connection.send(AUTH_OK)
        await connection.close(1011)

    backoff = Quick()
    async with answering(drop) as url:
        connector = Connector(Endpoint(url, "t"), backoff=backoff)
        async with aclosing(connector.links()) as links:
            async for link in links:
                with pytest.raises(ClientError):
                    await link.receive()
                if connector.links_opened == 5:
                    break
    assert backoff.drawn == [0.001, 0.002, 0.004, 0.004]


async def test_a_link_that_lasted_begins_the_delays_again() -> None:
    async def drop(connection: ServerConnection) -> None:
        await connection.send(AUTH_OK)
        await connection.close(1011)

    backoff = Quick()
    now = 0.0
    async with answering(drop) as url:
        connector = Connector(Endpoint(url, "t"), backoff=backoff, clock=lambda: now)
        async with aclosing(connector.links()) as links:
            async for link in links:
                with pytest.raises(ClientError):
                    await link.receive()
                if connector.links_opened == 3:
                    now += 11
                if connector.links_opened == 5:
                    break
    assert backoff.drawn == [0.001, 0.002, 0.001, 0.002]


async def test_an_outage_is_told_once_however_often_it_is_tried() -> None:
    told: list[str] = []
    async with answering(silent, 503) as url:
        connector = Connector(
            Endpoint(url, "t"),
            backoff=Quick(),
            patience=Patience(first_s=0.05),
            on_outage=lambda lost: told.append(str(lost)),
        )
        with pytest.raises(UnreachableError):
            await anext(connector.links())
    assert len(told) == 1


async def test_without_any_patience_there_is_one_attempt() -> None:
    attempts = 0

    def count() -> str:
        nonlocal attempts
        attempts += 1
        return "t"

    async with answering(silent, 503) as url:
        connector = Connector(Endpoint(url, count), patience=Patience(first_s=0))
        with pytest.raises(UnreachableError):
            await anext(connector.links())
    assert attempts == 1


async def test_finishing_soon_cuts_a_wait_short() -> None:
    async with answering(silent, 503) as url:
        connector = Connector(Endpoint(url, "t"), backoff=Backoff(lambda: 1.0, first_s=600))
        opening = asyncio.ensure_future(anext(connector.links()))
        await connector.attempted.wait()
        connector.finish_soon()
        with pytest.raises(UnreachableError):
            await asyncio.wait_for(opening, 5)


async def test_a_silent_client_pings_within_half_the_idle_timeout() -> None:
    heard: list[str] = []

    async def count_pings(connection: ServerConnection) -> None:
        await connection.send(AUTH_OK.replace('"idle_timeout": 300', '"idle_timeout": 0.2'))
        async for message in connection:
            heard.append(json.loads(message)["type"])
            if len(heard) == 2:
                await connection.send('{"type":"server_shutdown","retry_after":1}')

    async with answering(count_pings) as url:
        link = await open_link(Endpoint(url, "t"))
        await link.receive_or_ping()
        await link.close()
    assert heard[:2] == ["ping", "ping"]


def test_the_codes_a_client_knows_are_the_monitors() -> None:
    from monitor import wire

    for code in set(CloseCode) - {CloseCode.TOO_BIG}:  # that one is the WebSocket layer's
        assert wire.CloseCode[code.name] == code
    for error in ErrorCode:
        assert wire.ErrorCode[error.name] == error


async def test_a_monitor_that_dies_during_the_handshake_is_tried_again() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(LinkLostError, match="no connection"):
            await open_link(Endpoint(f"ws://127.0.0.1:{port}", "t"))
