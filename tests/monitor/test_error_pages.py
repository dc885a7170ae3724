"""Refusals as people and as programs see them: raw HTTP, each with the status it always had."""

import json
import os
import re
import signal
from datetime import UTC, datetime

import pytest

from .peers import Peer, Raw

pytestmark = pytest.mark.slow

#: What browsers send where a person goes to a page.
CHROMIUM = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,"
    "*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"
)
SAFARI = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def ask(monitor, path="/", accept=CHROMIUM, *headers, host="localhost"):
    """Return (status, {header: value}, body) of one GET; `accept` is None for none."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", *headers]
    if accept is not None:
        lines.append(f"Accept: {accept}")
    with Raw(monitor.port) as raw:
        raw.send("\r\n".join(lines).encode() + b"\r\n\r\n")
        head, _, body = raw.rest().partition(b"\r\n\r\n")
    status, *fields = head.decode().split("\r\n")
    return int(status[9:12]), dict(line.split(": ", 1) for line in fields), body.decode()


def assert_told_alike(monitor, status, title, path="/", *headers, host="localhost"):
    """Assert that people get the page with this title, and programs the problem it stands for."""
    found, people, page = ask(monitor, path, CHROMIUM, *headers, host=host)
    assert found == status
    assert people.pop("Content-Type") == "text/html; charset=utf-8"
    assert f"<h1>{title}</h1>" in page
    found, programs, problem = ask(monitor, path, "*/*", *headers, host=host)
    assert found == status
    assert programs.pop("Content-Type") == "application/problem+json"
    assert json.loads(problem)["status"] == status
    assert people["Vary"] == programs["Vary"] == "Accept"
    assert int(people.pop("Content-Length")) == len(page.encode())
    del programs["Content-Length"]
    waits = [int(each.pop("Retry-After", "0")) for each in (people, programs)]
    assert waits[1] <= waits[0] <= waits[1] + 1  # a second may have begun between the two
    assert people == programs, "the security headers"
    assert "<script" not in page
    return page, waits[0]


def assert_names_the_instant(page, wait, before):
    """Assert that the page says when to come back, as its Retry-After does."""
    instant, shown = re.search(r'<p>[^<]*<time datetime="([^"]+)">([^<]+)</time>', page).groups()
    when = datetime.fromisoformat(instant)
    assert shown == f"{when:%H:%M:%S} UTC"
    assert (when - before).total_seconds() >= wait
    assert f", {wait} seconds after this page came." in page


def test_an_address_over_the_request_limit_is_told_until_when(start_monitor):
    monitor = start_monitor(requests_per_window=2)
    assert [ask(monitor, "/")[0] for _ in range(2)] == [200, 200]
    before = datetime.now(UTC)
    page, wait = assert_told_alike(monitor, 429, "Too many requests")
    assert 50 < wait <= 60
    assert_names_the_instant(page, wait, before)


def test_an_address_with_all_its_connections_is_told_to_close_one(start_monitor):
    monitor = start_monitor(connections_per_address=1)
    with Raw(monitor.port):
        page, wait = assert_told_alike(monitor, 429, "Too many connections")
    assert wait == 1
    assert ", 1 second after this page came.</p>" in page
    assert "Close a tab" in page


def test_a_full_server_is_told_apart_from_a_full_address(start_monitor):
    monitor = start_monitor(max_connections=1)
    before = datetime.now(UTC)
    with Raw(monitor.port, source="127.0.0.2"):
        page, wait = assert_told_alike(monitor, 503, "The monitor is full")
    assert wait == 20
    assert_names_the_instant(page, wait, before)


def test_a_server_that_is_shutting_down_says_so(start_monitor):
    monitor = start_monitor()
    url = f"{monitor.url}?token={monitor.token()}"
    with Peer(url) as peer, Raw(monitor.port) as silent:
        peer.until("subscribed")
        # It ends no closing handshake, so that the server is not gone at once.
        assert b" 101 " in silent.upgrade(f"/?token={monitor.token()}")
        os.kill(monitor.pid, signal.SIGTERM)
        peer.until("server_shutdown")
        page, _ = assert_told_alike(monitor, 503, "The monitor is shutting down", "/readyz")
    assert "it is back in a moment" in page


def test_a_wrong_path_leads_to_the_dashboard_and_repeats_nothing_of_the_request(start_monitor):
    monitor = start_monitor()
    path = "/<b>canary</b>?canary=%3Cb%3E"
    page, wait = assert_told_alike(monitor, 404, "No such page", path, "Referer: http://canary/")
    assert wait == 0
    assert '<a href="/">Open the dashboard</a>' in page
    assert "canary" not in page
    assert "Come back" not in page


def test_pages_for_holders_of_a_token_say_of_which(start_monitor):
    monitor = start_monitor(failures_per_minute=2)
    watching = f"Authorization: Bearer {monitor.token('subscribe')}"
    page, _ = assert_told_alike(monitor, 403, "Not allowed", "/metrics", watching)
    assert "has another scope" in page
    page, _ = assert_told_alike(monitor, 401, "A token is needed", "/state")
    assert "--scope admin" in page
    page, wait = assert_told_alike(monitor, 429, "Too many failed attempts", "/state")
    assert wait > 0


def test_a_name_of_others_is_told_what_to_call_it(start_monitor):
    page, _ = assert_told_alike(
        start_monitor(), 421, "Not a name of this monitor", host="evil.example"
    )
    assert "--allow-origin" in page
    assert "evil" not in page


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        (CHROMIUM, True),
        (SAFARI, True),
        ("text/html", True),
        ("TEXT/HTML ; Q=0.5 , */*;q=0.1", True),
        ("text/html;q=0.5, application/json;q=0.4", True),
        ("text/html, */*", True),
        (None, False),
        ("", False),
        ("*/*", False),
        ("text/*", False),
        ("application/json", False),
        ("application/json, text/html", False),
        ("application/problem+json;q=0.9, text/html;q=0.8, */*", False),
        ("text/html;q=0.5, */*", False),
        ("text/html;q=0", False),
        ("text/html;q=nan", False),
        ("text/html;q=9e9", False),
        ("image/avif,image/webp,*/*;q=0.8", False),
        (",;,=;q", False),
        ("text/html" + ",a" * 495, True),
        ("text/html" + ",a" * 500, False),  # no browser's: it is not read
    ],
)
def test_only_who_prefers_html_by_name_gets_it(shared, accept, html):
    status, headers, _ = ask(shared, "/nothing", accept)
    assert status == 404
    assert headers["Content-Type"].startswith("text/html" if html else "application/problem+json")


def test_a_handshake_is_refused_as_before_whatever_it_accepts(shared):
    with Raw(shared.port) as raw:
        head = raw.upgrade("/?token=no", f"Accept: {CHROMIUM}")
    assert head.startswith(b"HTTP/1.1 401 ")
    assert b"application/problem+json" in head


def test_what_is_no_problem_does_not_depend_on_what_is_accepted(shared):
    for path in ("/", "/healthz", "/app.js"):
        status, headers, body = ask(shared, path)
        assert (status, headers, body) == ask(shared, path, "application/json")
        assert "Vary" not in headers
