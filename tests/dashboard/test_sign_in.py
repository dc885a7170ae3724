"""Signing in, by each way; and what a person is told when it does not work."""

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from tests.dashboard.kit import Dashboard, halted, publish, start
from tests.running import RunningMonitor

if TYPE_CHECKING:
    from playwright.sync_api import Route

pytestmark = pytest.mark.slow

Start = Callable[..., RunningMonitor]
Open = Callable[..., Dashboard]


@pytest.fixture(scope="module")
def monitor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMonitor]:
    """One monitor for all who publish nothing; their pages together are over the usual limit."""
    state = tmp_path_factory.mktemp("signing-in") / "state"
    with RunningMonitor(state, requests_per_window=10_000) as running:
        yield running


def test_a_typed_token_signs_in_and_goes_out_as_the_first_message(
    monitor: RunningMonitor, open_page: Open
) -> None:
    dashboard = open_page(monitor)
    dashboard.wait("signed_out")
    assert "wsproof token issue --subject you --scope subscribe" in dashboard.text("#sign-in")
    token = monitor.token()
    dashboard.sign_in(f"  {token}\n")
    dashboard.wait("live")
    assert json.loads(dashboard.sent[0]) == {"type": "auth", "token": token}
    assert [socket.url for socket in dashboard.sockets] == [f"{monitor.url}?stream=off"]
    assert token not in dashboard.page.content()


@pytest.mark.parametrize("link", ["?token={}", "#token={}", "?view=all&token={}#x"])
def test_a_link_with_a_token_signs_in_and_leaves_the_address_and_history(
    monitor: RunningMonitor, open_page: Open, link: str
) -> None:
    token = monitor.token()
    dashboard = open_page(monitor, link.format(token))
    dashboard.wait("live")
    assert "token" not in dashboard.page.url
    history = "JSON.stringify([history.length, history.state, location.href, document.referrer])"
    assert token not in dashboard.page.evaluate(history)
    # The address goes before any other file of the page is asked for by the script.
    assert [url for url in dashboard.requests if token in url] == dashboard.requests[:1] * (
        link.startswith("?")
    )
    dashboard.page.go_back()
    assert token not in dashboard.page.url


def test_a_link_followed_while_the_page_still_loads_signs_in_and_leaves_the_address(
    monitor: RunningMonitor, open_page: Open
) -> None:
    dashboard = open_page(monitor)
    page = dashboard.page
    with page.expect_request("**/store.js"):  # held back until the link has been followed
        held: list[Route] = []
        page.route("**/store.js", lambda route: held.append(route))  # noqa: PLW0108 - not a builtin
        page.reload(wait_until="commit")
    page.evaluate("token => { location.hash = `token=${token}`; }", monitor.token())
    held[0].continue_()
    dashboard.wait("live")
    assert "token" not in page.evaluate("location.href")


def test_a_link_opened_in_the_same_tab_signs_in_too(
    monitor: RunningMonitor, open_page: Open
) -> None:
    dashboard = open_page(monitor)
    dashboard.wait("signed_out")
    dashboard.page.goto(f"{monitor.http}/#token={monitor.token()}")
    dashboard.wait("live")
    assert dashboard.page.url == f"{monitor.http}/"


def test_the_token_lives_as_long_as_the_tab(monitor: RunningMonitor, open_page: Open) -> None:
    token = monitor.token()
    dashboard = open_page(monitor, f"#token={token}")
    dashboard.wait("live")
    kept = dashboard.context.storage_state(indexed_db=True)
    assert kept["cookies"] == []
    assert token not in json.dumps(kept), "kept beyond the tab"
    assert token in dashboard.page.evaluate("JSON.stringify(sessionStorage)")
    dashboard.page.reload()
    dashboard.wait("live")
    another = dashboard.context.new_page()
    another.goto(f"{monitor.http}/")
    another.locator('body[data-connection="signed_out"]').wait_for()


def test_signing_out_forgets_the_token_and_what_was_shown(
    start_monitor: Start, open_page: Open
) -> None:
    monitor = start_monitor()
    publish(monitor, start("secret-phase"))
    dashboard = open_page(monitor, f"#token={monitor.token()}")
    dashboard.wait_text(".phase h3", "secret-phase")
    dashboard.page.get_by_role("button", name="Sign out").click()
    dashboard.wait("signed_out")
    assert "secret-phase" not in dashboard.page.locator("main").inner_text()
    dashboard.page.reload()
    dashboard.wait("signed_out")
    assert dashboard.page.evaluate("sessionStorage.length") == 0


def test_signing_out_ends_the_pause_the_filter_and_the_choice_of_a_run(
    start_monitor: Start, open_page: Open
) -> None:
    monitor = start_monitor()
    publish(monitor, start("write", run="one"), start("links", run="two"))
    dashboard = open_page(monitor, f"#token={monitor.token()}")
    dashboard.wait_count(".event", 2)
    dashboard.page.get_by_label("Text").fill("write")
    dashboard.page.locator("#run").select_option("=one")
    dashboard.wait_count(".event", 1)
    dashboard.page.get_by_role("button", name="Pause").click()
    dashboard.page.get_by_role("button", name="Sign out").click()
    dashboard.wait("signed_out")
    dashboard.sign_in(monitor.token())
    dashboard.wait_count(".event", 2)
    dashboard.wait_count("#pause[aria-pressed=false]", 1)


def test_a_second_link_shows_what_is_there_as_past_until_it_is_live(
    start_monitor: Start, open_page: Open
) -> None:
    monitor = start_monitor()
    publish(monitor, start("write"))
    dashboard = open_page(monitor, f"#token={monitor.token()}")
    dashboard.wait_count(".event", 1)
    with halted(monitor):
        dashboard.page.goto(f"{monitor.http}/#token={monitor.token(subject='another')}")
        dashboard.wait_count("body.stale[data-connection=connecting]", 1)
        assert "What is shown is as of" in dashboard.text("#notice-text")
    dashboard.wait_count("body:not(.stale)[data-connection=live]", 1)
    assert len(dashboard.sockets) == 2
    dashboard.wait_counts(1, 0)


def test_a_refused_token_is_not_tried_again_and_the_page_says_how_to_get_one(
    monitor: RunningMonitor, open_page: Open
) -> None:
    dashboard = open_page(monitor, clock=True)
    dashboard.sign_in("not.a.token")
    dashboard.wait("rejected")
    assert "does not accept this token" in dashboard.text("#sign-in-why")
    assert "wsproof token issue" in dashboard.text("#sign-in")
    dashboard.page.clock.run_for(60_000)
    assert len(dashboard.sockets) == 1
    dashboard.wait_text("#announcement", "does not accept this token")
    dashboard.sign_in(monitor.token("publish"))
    dashboard.wait_text("#announcement", "needs the scope “subscribe”")
    dashboard.sign_in(monitor.token())
    dashboard.wait("live")


def test_a_token_that_may_only_publish_is_told_apart(
    monitor: RunningMonitor, open_page: Open
) -> None:
    dashboard = open_page(monitor, f"#token={monitor.token('publish')}")
    dashboard.wait("rejected")
    assert "needs the scope “subscribe”" in dashboard.text("#sign-in-why")


def test_a_token_of_both_scopes_watches_as_well(start_monitor: Start, open_page: Open) -> None:
    monitor = start_monitor()
    dashboard = open_page(monitor, f"#token={monitor.token('publish,subscribe')}")
    dashboard.wait("live")
    publish(monitor, start("shown"))
    dashboard.wait_text(".phase h3", "shown")


def test_loading_the_page_and_signing_in_cost_twelve_requests_at_most(
    start_monitor: Start, open_page: Open
) -> None:
    before = start_monitor()
    publish(before, start("write"))
    before.stop()
    with RunningMonitor(before.state, requests_per_window=12, host="127.0.0.1") as monitor:
        dashboard = open_page(monitor, f"#token={monitor.token()}")
        dashboard.wait("live")
        dashboard.wait_counts(1, 0)
        # A refused message would be sent a second time.
        sent = [json.loads(message)["type"] for message in dashboard.sent]
        assert sent == ["auth", "subscribe", "subscribe"]
        dashboard.close()
