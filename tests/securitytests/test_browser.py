"""The browser of the gate: kept to the service, and what it is asked to look for is found."""

import asyncio
import contextlib

import pytest

from securitytests.catalogue.pages.hostile_text import _LOOK, Hostile, Seen, judge_text
from securitytests.probe import browser
from securitytests.probe.stream import endpoint_of

MARK = "x0123456789ab"
TEXT = Hostile("message", MARK)


@contextlib.asynccontextmanager
async def serving(body):
    """Serve one page, whatever is asked for; yield its endpoint."""

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        page = f"<!doctype html><meta charset=utf-8><title>t</title><body>{body}".encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(page)}\r\n\r\n"
        writer.write(head.encode() + page)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield endpoint_of(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/")


@contextlib.asynccontextmanager
async def shown(body):
    async with serving(body) as endpoint, browser.opened(browser.find(), endpoint) as page:
        seen = Seen()
        page.on("request", lambda request: seen.requests.append(request.url))
        await page.goto(f"http://{endpoint.host}/")
        yield page, seen


async def made_of(page, seen):
    for name, marks in (await page.evaluate(_LOOK, [MARK])).items():
        getattr(seen, name).update(marks)
    return seen.made_of(MARK)


@pytest.mark.slow
async def test_what_a_text_has_become_is_told():
    async with shown("<p id=p>") as (page, seen):
        await page.evaluate(
            "(text) => { document.getElementById('p').textContent = text }", TEXT.text
        )
        assert await made_of(page, seen) == []
        assert judge_text(TEXT, seen).actual == "text"
        put = "(text) => { document.getElementById('p').innerHTML = text }"
        async with page.expect_request(lambda request: MARK in request.url):
            await page.evaluate(put, TEXT.text)
        await page.wait_for_function("window.ranByWsproof")
        found = await made_of(page, seen)
        wanted = ["a program that ran", "elements", "an order in an attribute", "a request"]
        assert found == wanted
        assert judge_text(TEXT, seen).verdict == "FAIL"


@pytest.mark.slow
async def test_a_title_may_say_anything():
    async with shown("<p id=p>") as (page, seen):
        await page.evaluate("(text) => { document.getElementById('p').title = text }", TEXT.text)
        assert await made_of(page, seen) == []


@pytest.mark.slow
async def test_a_link_that_is_a_program_is_an_order():
    async with shown("<a id=a>") as (page, seen):
        await page.evaluate("(text) => { document.getElementById('a').href = text }", TEXT.text)
        assert await made_of(page, seen) == ["an order in an attribute"]


@pytest.mark.slow
async def test_it_reaches_the_service_and_nobody_else():
    async with serving("there") as other, shown("here") as (page, _):
        assert await browser.shows(page, "here", 5_000)
        assert not await browser.shows(page, "there", 50)
        failed = await page.evaluate(
            "(url) => fetch(url, {mode: 'no-cors'}).then(() => false, () => true)",
            f"http://elsewhere.localhost:{other.port}/",
        )
        assert failed


@pytest.mark.slow
async def test_other_services_of_this_machine_are_not_reached():
    asked = []

    async def note(reader, writer):
        asked.append(await reader.readline())
        writer.close()

    async with await asyncio.start_server(note, "127.0.0.1", 0) as other, shown("x") as (page, _):
        elsewhere = f"127.0.0.1:{other.sockets[0].getsockname()[1]}"
        failed = await page.evaluate(
            """async (elsewhere) => [
                await fetch(`http://${elsewhere}/`, {mode: 'no-cors'}).then(() => 0, () => 1),
                await new Promise((done) => {
                    new WebSocket(`ws://${elsewhere}/`).onclose = () => done(1)
                }),
                await fetch(location.href).then(() => 0, () => 1),
            ]""",
            elsewhere,
        )
    assert failed == [1, 1, 0]
    assert asked == []


async def test_what_the_browser_cannot_do_is_told(tmp_path):
    endpoint = endpoint_of("ws://127.0.0.1:9/")
    with pytest.raises(browser.BrowserFailedError, match="no-browser: "):
        async with browser.opened(tmp_path / "no-browser", endpoint):
            pass


def test_a_short_text_asks_for_a_picture_and_fits_a_name():
    assert len(TEXT.name) <= 64
    assert TEXT.name.count(MARK) == 2
