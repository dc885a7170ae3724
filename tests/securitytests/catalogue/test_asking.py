"""Whoever asks often from one address holds no more connections at a time than are promised."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec
import pytest

from monitor.contract.profile import Pages
from monitor.contract.promises import Answer, Promises
from monitor.contract.target import Publish, Target
from securitytests.bench import Bench
from securitytests.catalogue.rates.asking import ask_all, counted_page, served
from securitytests.judging import CannotTellError
from securitytests.server import Server

PLACES = 3


class Slow:
    """Answers 429 to more connections than it has places for; slow to notice that one is over."""

    def __init__(self) -> None:
        self.held = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.held += 1
        status = b"200 OK" if self.held <= PLACES else b"429 Too Many Requests"
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
        await reader.read()
        for _ in range(50):  # busy with others
            await asyncio.sleep(0)
        self.held -= 1
        writer.close()


def profile(port: int) -> Target:
    return Target(
        "slow to let go",
        f"ws://127.0.0.1:{port}/",
        Publish("{event}"),
        pages=Pages(open=("/",)),
        promises=Promises(requests_per_window=100, connections_per_address=PLACES),
        answers={"over_limit": Answer(status=(429,)), "too_many_connections": Answer((429,))},
    )


@contextlib.asynccontextmanager
async def bench_of_a_slow_service() -> AsyncIterator[Bench]:
    listening = await asyncio.start_server(Slow().serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with listening, Server(profile(port)) as server:
        bench = Bench(server, "ZA1")
        try:
            yield bench
        finally:
            await bench.close()


async def test_no_page_is_refused_for_the_connections_of_those_before_it():
    async with bench_of_a_slow_service() as bench:
        page, address = counted_page(bench), bench.own_address()
        answers = await ask_all(bench, [page] * 40, address)
        assert served(bench, answers) == 40
        for _ in range(10):
            assert (await bench.ask(page, address)).status == 200


async def test_connections_that_are_held_take_up_places_too():
    async with bench_of_a_slow_service() as bench:
        page, address = counted_page(bench), bench.own_address()
        held = [await bench.connect(address) for _ in range(PLACES - 1)]
        answers = await ask_all(bench, [page] * 10, address, held=len(held))
        assert served(bench, answers) == 10
        with pytest.raises(CannotTellError, match="no room for another"):
            await ask_all(bench, [page], address, held=PLACES)


async def test_a_service_that_promises_no_number_of_connections_is_asked_all_the_same():
    async with bench_of_a_slow_service() as bench:
        bench.promises = msgspec.structs.replace(bench.promises, connections_per_address=None)
        answers = await ask_all(bench, [counted_page(bench)] * 8, bench.own_address())
        assert len(answers) == 8
