"""Hostile text of events, on the page that shows it to people."""

import asyncio
import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from monitor.contract.target import fill
from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.check import check
from securitytests.judging import Judgement, verdict_of
from securitytests.probe import browser
from securitytests.probe.client import Client, NotServedError, event_of, event_with

if TYPE_CHECKING:
    from playwright.async_api import Page

#: How long the page may take to show what was published.
_SHOWN_MS = 10_000
_TRIES = 5

#: Notes which marks ran as a program, became elements, or became orders to the browser.
_LOOK = """(marks) => {
  const nodes = [...document.querySelectorAll("*")];
  const leads = ["href", "xlink:href", "src", "action", "formaction", "data"];
  const orders = nodes.flatMap((node) => [...node.attributes]).filter(
    ({ name, value }) => name.startsWith("on") || name === "srcdoc" ||
      leads.includes(name) && /^\\s*(javascript|data|vbscript):/i.test(value)
  ).map(({ value }) => value);
  const text = nodes.map((node) => node.shadowRoot?.textContent ?? "").join("")
    + document.documentElement.textContent;
  return {
    ran: marks.filter((mark) => (window.ranByWsproof ?? []).includes(mark)),
    elements: marks.filter((mark) => document.getElementsByClassName(mark).length > 0),
    orders: marks.filter((mark) => orders.some((order) => order.includes(mark))),
    shown: marks.filter((mark) => text.includes(mark)),
  };
}"""


class Seen(msgspec.Struct):
    """What the page made of the marks of hostile texts; `requests` are URLs it asked for."""

    ran: set[str] = set()
    elements: set[str] = set()
    orders: set[str] = set()
    shown: set[str] = set()
    requests: list[str] = []
    dialogs: list[str] = []

    def made_of(self, mark: str) -> list[str]:
        """Return what became of the text with this mark, beside text."""
        found = {
            "a program that ran": mark in self.ran,
            "elements": mark in self.elements,
            "an order in an attribute": mark in self.orders,
            "a request": any(mark in url for url in self.requests),
            "a dialog": any(mark in text for text in self.dialogs),
        }
        return [name for name, is_so in found.items() if is_so]


class Hostile(NamedTuple):
    """One text in one field; `mark` stands in whatever it would become."""

    field: str
    mark: str

    @property
    def text(self) -> str:
        """A link that is a program; it ends attributes, titles, scripts, and goes on as markup."""
        run = f"(window.ranByWsproof??=[]).push(`{self.mark}`)"
        return (
            f"javascript:{run}//{self.mark}'\"></title></script>"
            f"<script>{run}</script>"
            f'<img class={self.mark} src="/{self.mark}.png" onerror="{run}">'
            f"<svg class={self.mark} onload={run}></svg>"
            f'{{{{constructor.constructor("{run}")()}}}}${{{run}}}'
        )

    @property
    def name(self) -> str:
        """Markup short enough for a name: it ends an attribute and asks for a picture."""
        return f'"><img class={self.mark} src=/{self.mark}>'


@check(
    id="HT5",
    title="Hostile event text is inert in the dashboard",
    claim=None,
    severity=Severity.HIGH,
    references=("ASVS-3.2.2", "CWE-79"),
    remediation="Put text into the page with `textContent`, never as markup or as a link.",
    cost_s=8.0,
    tier="destructive",
    server="own",
    alone=True,  # a browser starting on two cores would spoil what others time
)
async def hostile_text(bench: Bench) -> None:
    """Whoever may publish would act on the page with the rights of whoever watches it.

    A real browser opens the dashboard and signs in as `pages.sign_in` says. Into each text field
    of an event, and each field of the example that is a text, goes one that would be a program as
    a link, as a script, and in the attributes of elements, and that breaks out of attributes,
    titles and templates; where it is refused, a short one as names may be. Once the page shows
    what was published behind it, and again after it was loaded anew, nothing of it may have run,
    become an element or an order in an attribute, or have been asked for; the content policy is no
    excuse. One of the texts at least must be seen on the page. Without Chromium nothing can be
    told.
    """
    pages, target = bench.target.pages, bench.target
    if pages.dashboard is None:
        bench.not_applicable("the profile has no `pages.dashboard`: no page is shown to people")
    if target.authentication.methods and pages.sign_in is None:
        bench.cannot_tell("the profile has no `pages.sign_in`; say how one signs in to the page")
    if target.events is None or not target.events.text_fields:
        bench.cannot_tell("the profile has no `events.text_fields`; name the fields of free text")
    executable = browser.find()
    if executable is None:
        bench.cannot_tell(f"no Chromium is there to show the page in: {browser.INSTALL}")
    token = await bench.token()
    await bench.token("publish")
    secure = "https" if bench.server.endpoint.tls else "http"
    address = f"{secure}://{bench.server.endpoint.host}{pages.dashboard}"
    signed_in = address + fill(pages.sign_in or "", {"token": token or ""})
    bench.server.budget.spend()
    bench.transcript.note(0, "note", f"{executable.name} opens {signed_in}")
    try:
        async with browser.opened(executable, bench.server.endpoint) as page:
            await _look_on(bench, page, signed_in)
    except browser.BrowserFailedError as failure:
        bench.cannot_tell(f"the page cannot be shown: {failure}")


async def _look_on(bench: Bench, page: "Page", address: str) -> None:
    """Open the page, publish hostile texts, and judge what it made of each."""
    seen = Seen()
    page.on("request", lambda request: seen.requests.append(request.url))
    page.on("dialog", lambda dialog: _dismiss(seen, dialog))
    await page.goto(address)
    texts = [Hostile(field, f"x{secrets.token_hex(6)}") for field in _fields(bench)]
    marks = [one.mark for one in texts]
    await _shown_behind(bench, page)
    for one in texts:
        event = event_with(bench.target, bench.mark(), one.field, one.text)
        if not await _published(bench, event):
            await _published(bench, {**event, one.field: one.name})
        await _shown_behind(bench, page)
        await _look(page, marks, seen)
    live = [one.mark for one in texts if one.mark in seen.shown]
    if not live:
        bench.cannot_tell("none of the texts is to be seen on the page")
    bench.figures["texts_shown"] = len(live)
    await page.reload()
    await _shown_behind(bench, page)
    await _look(page, marks, seen)
    for one in texts:
        with bench.variant(one.field):
            bench.judge(judge_text(one, seen))


def judge_text(one: Hostile, seen: Seen) -> Judgement:
    """Judge that a hostile text has become nothing but text."""
    made = seen.made_of(one.mark)
    told = "text" if one.mark in seen.shown else "not shown"
    return verdict_of(not made, "nothing but text", " and ".join(made) or told)


def _fields(bench: Bench) -> Iterator[str]:
    """Yield the fields that are texts: first free ones, then names, which may begin a new page."""
    assert bench.target.events is not None  # noqa: S101 - the caller looked
    free = bench.target.events.text_fields
    yield from free
    for name, value in event_of(bench.target, "").items():
        if isinstance(value, str) and name not in free:
            yield name


async def _published(bench: Bench, event: dict[str, Any]) -> bool:
    """Publish one event on a connection of its own; return whether it was taken."""
    client: Client = await bench.client("publish")
    try:
        await client.publish(event, 5)
    except NotServedError as refusal:
        bench.transcript.note(0, "note", f"not taken: {refusal}")
        return False
    finally:
        client.peer.stream.close()
    return True


async def _shown_behind(bench: Bench, page: "Page") -> None:
    """Publish a harmless event, of another value of the filter's field, and wait until it shows.

    Published again while it does not: a page may still be connecting.

    Raises:
        CannotTellError: the page does not show it.
    """
    assert bench.target.events is not None  # noqa: S101 - callers looked
    mark, named = bench.mark(), bench.target.subscribe.filter_field
    field = bench.target.events.text_fields[0]
    for _ in range(_TRIES):
        event = event_with(bench.target, bench.mark(), field, mark)
        await _published(bench, {**event, **({named: "behind"} if named else {})})
        if await browser.shows(page, mark, _SHOWN_MS / _TRIES):
            return
    bench.cannot_tell(f"the page does not show what was published in `{field}`")


async def _look(page: "Page", marks: list[str], seen: Seen) -> None:
    """Add what the page has made of the marks so far."""
    found: dict[str, list[str]] = await page.evaluate(_LOOK, marks)
    for name, those in found.items():
        getattr(seen, name).update(those)


def _dismiss(seen: Seen, dialog: Any) -> "asyncio.Task[None]":
    seen.dialogs.append(dialog.message)
    return asyncio.ensure_future(dialog.dismiss())
