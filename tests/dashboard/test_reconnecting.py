"""The monitor goes, comes back, refuses, limits: what the page does, and what it says it knows."""

import json
import re
import socket
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.dashboard.kit import Dashboard, halted, now, progress, publish, start
from tests.running import RunningMonitor

pytestmark = pytest.mark.slow

Start = Callable[..., RunningMonitor]
Open = Callable[..., Dashboard]


def watching(start_monitor: Start, open_page: Open, **flags: object) -> Dashboard:
    clock = bool(flags.pop("clock", False))
    monitor = start_monitor(**flags)
    dashboard = open_page(monitor, f"#token={monitor.token()}", clock=clock)
    dashboard.wait("live")
    return dashboard


def offsets(dashboard: Dashboard) -> list[int]:
    return [event["offset"] for event in dashboard.download()]


def test_after_a_crash_nothing_is_lost_and_nothing_doubled(
    start_monitor: Start, open_page: Open
) -> None:
    dashboard = watching(start_monitor, open_page)
    monitor = dashboard.monitor
    publish(monitor, start("write"), *(progress("write", n) for n in range(20)))
    dashboard.wait_text(".phase .percent", "19 %")
    dashboard.expect_network_errors()
    monitor.kill()
    dashboard.wait("waiting")
    assert "Not live" in dashboard.text("#notice-text")
    monitor.start()
    publish(monitor, *(progress("write", n) for n in range(20, 40)))
    dashboard.wait("live")
    dashboard.wait_text(".phase .percent", "39 %")
    publish(monitor, progress("write", 40))
    dashboard.wait_text(".phase .percent", "40 %")
    assert offsets(dashboard) == list(range(1, 43))
    dashboard.wait_counts(42, 0)
    assert "doubled" not in dashboard.text("#counts")
    assert dashboard.page.locator("#notice").is_hidden()


def test_while_it_catches_up_the_page_says_how_many_events_it_recovers(
    start_monitor: Start, open_page: Open
) -> None:
    dashboard = watching(start_monitor, open_page, clock=True, publish_events_per_s=1_000_000)
    monitor = dashboard.monitor
    publish(monitor, start("write"))
    dashboard.wait_text(".phase .word", "running")
    dashboard.expect_network_errors()
    dashboard.record_states()
    with dashboard.away():
        monitor.kill()
        dashboard.wait_closed()
        dashboard.draw_until("waiting", 300)
        monitor.start()
        saved = {"type": "checkpoint_created", "timestamp": now(), "path": "a.json"}
        publish(monitor, *([saved] * 5_000))
    dashboard.wait("live")
    dashboard.wait_recorded(r"recovering stale Recovering Recovering [\d,]+ of 5,000 events\.")
    dashboard.wait_counts(5_001, 0)
    dashboard.wait_count("body.stale", 0)


def test_a_tab_that_is_looked_at_again_connects_at_once(
    start_monitor: Start, open_page: Open
) -> None:
    dashboard = watching(start_monitor, open_page, clock=True)
    dashboard.expect_network_errors()
    dashboard.pause_clock()
    dashboard.monitor.kill()
    dashboard.wait_closed()
    dashboard.draw_until("waiting", 300)
    for _ in range(3):  # the delay has grown to 8 s at least
        dashboard.page.clock.fast_forward(30_000)
        dashboard.wait_closed()
        dashboard.draw_until("waiting", 300)
    dashboard.monitor.start()
    dashboard.page.clock.fast_forward(1_100)
    assert "Not live" in dashboard.text("#notice-text")
    with dashboard.connects_at_once():
        # Chromium without a window never hides a tab; one that shows again is told this.
        dashboard.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    dashboard.page.clock.resume()
    dashboard.wait("live")


def test_each_delay_doubles_and_is_drawn_from_its_upper_half(
    start_monitor: Start, open_page: Open
) -> None:
    dashboard = watching(start_monitor, open_page, clock=True)
    clock = dashboard.page.clock
    dashboard.expect_network_errors()
    dashboard.pause_clock()
    dashboard.monitor.kill()
    dashboard.wait_closed()
    dashboard.draw_until("waiting", 300)
    for delay_ms in (1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000):
        # The delay began while time stood; up to 300 ms of it went by in frames since.
        attempts = len(dashboard.sockets)
        clock.fast_forward(delay_ms // 2 - 301)
        assert len(dashboard.sockets) == attempts, f"tried before half of {delay_ms} ms"
        clock.fast_forward(delay_ms // 2 + 301)
        dashboard.wait_closed()
        dashboard.draw_until("waiting", 300)
        assert len(dashboard.sockets) == attempts + 1, f"not once within {delay_ms} ms"
    assert re.search(r"Connecting again in (1[5-9]|2\d|30) s\.", dashboard.text("#notice-text"))


def test_the_button_connects_at_once(start_monitor: Start, open_page: Open) -> None:
    dashboard = watching(start_monitor, open_page, clock=True)
    dashboard.expect_network_errors()
    dashboard.pause_clock()
    dashboard.monitor.kill()
    dashboard.wait_closed()
    dashboard.draw_until("waiting", 300)
    dashboard.monitor.start()
    with dashboard.connects_at_once():
        dashboard.page.get_by_role("button", name="Connect now").click()
    dashboard.page.clock.resume()
    dashboard.wait("live")


def test_a_planned_restart_is_called_one_and_its_wait_obeyed(
    start_monitor: Start, open_page: Open
) -> None:
    dashboard = watching(start_monitor, open_page, clock=True)
    dashboard.expect_network_errors()
    dashboard.pause_clock()
    said = dashboard.sockets[-1].expect_event("framereceived", lambda it: "shutdown" in it)
    with said as farewell:
        dashboard.monitor.stop()
    dashboard.wait_closed()
    dashboard.draw_until("restarting", 300)
    assert dashboard.text("#announcement") == "Monitor restarting"
    dashboard.monitor.start()
    asked_ms = round(json.loads(farewell.value)["retry_after"] * 1_000)
    # Up to 300 ms of the wait went by in frames.
    dashboard.page.clock.fast_forward(max(0, asked_ms - 300))
    assert len(dashboard.sockets) == 1, f"tried within the {asked_ms} ms it was asked to wait"
    dashboard.page.clock.resume()
    dashboard.wait("live")


def test_what_was_missed_is_told_when_the_monitor_no_longer_has_it(
    start_monitor: Start, open_page: Open
) -> None:
    dashboard = watching(start_monitor, open_page, clock=True, journal_events=50)
    monitor = dashboard.monitor
    publish(monitor, start("write"))
    dashboard.wait_text(".phase h3", "write")
    dashboard.expect_network_errors()
    with dashboard.away():
        monitor.kill()
        dashboard.wait_closed()
        dashboard.draw_until("waiting", 300)
        monitor.start()
        publish(monitor, *(progress("write", n / 10) for n in range(800)))
        monitor.kill()  # what the journal no longer keeps is gone from memory as well
        monitor.start()
    dashboard.wait("live")
    dashboard.wait_text("#gap-text", "missed: the monitor no longer has them.")
    dashboard.wait_counts(1, 800)
    dashboard.wait_text(".phase .percent", "79 %")  # the state is right all the same
    dashboard.wait_count(".event.gap", 1)
    dashboard.page.get_by_role("button", name="Dismiss").click()
    assert dashboard.page.locator("#gap-notice").is_hidden()


def test_a_monitor_with_a_new_log_is_told_apart_from_the_old(
    start_monitor: Start, open_page: Open
) -> None:
    dashboard = watching(start_monitor, open_page)
    monitor = dashboard.monitor
    publish(monitor, start("of-the-old-log"))
    dashboard.wait_text(".phase h3", "of-the-old-log")
    dashboard.expect_network_errors()
    monitor.kill()
    dashboard.wait("waiting")
    for path in monitor.state.glob("journal*"):
        path.unlink()
    monitor.start()
    publish(monitor, start("of-the-new-log"))
    dashboard.wait("live")
    dashboard.wait_text("#gap-text", "began a new log")
    dashboard.wait_text(".phase h3", "of-the-new-log")
    dashboard.wait_count(".phase", 1)


def test_a_revoked_token_ends_the_watching_and_a_new_one_goes_on_where_it_was(
    start_monitor: Start, open_page: Open
) -> None:
    monitor = start_monitor()
    token = monitor.command(
        "token", "issue", "--subject", "watcher", "--scope", "subscribe"
    ).strip()
    dashboard = open_page(monitor, f"#token={token}")
    publish(monitor, start("write"))
    dashboard.wait_text(".phase h3", "write")
    monitor.command("token", "revoke", token)
    dashboard.wait("rejected")
    assert "revoked" in dashboard.text("#sign-in-why")
    assert dashboard.text("#state-word") == "Token revoked"
    assert "What is shown is as of" in dashboard.text("#notice-text")
    assert dashboard.page.evaluate("sessionStorage.length") == 0
    publish(monitor, progress("write", 70))
    dashboard.sign_in(monitor.token(subject="another"))
    dashboard.wait("live")
    dashboard.wait_text(".phase .percent", "70 %")
    assert offsets(dashboard) == [1, 2]


def test_an_expired_token_is_named_as_such(start_monitor: Start, open_page: Open) -> None:
    monitor = start_monitor()
    dashboard = open_page(monitor)
    dashboard.wait("signed_out")
    dashboard.sign_in(monitor.token(ttl_s=8))  # once the page is there: loading it takes its time
    dashboard.wait("live")
    dashboard.wait("rejected")
    assert "expired" in dashboard.text("#sign-in-why")
    assert dashboard.text("#state-word") == "Token expired"
    # What was shown stays to be read, and can be taken away.
    assert dashboard.page.locator("#board").is_visible()
    dashboard.page.get_by_role("button", name="Sign out").click()
    dashboard.wait("signed_out")
    assert dashboard.page.locator("#board").is_hidden()


def test_over_the_request_limit_the_page_says_until_when_and_then_goes_on(
    start_monitor: Start, open_page: Open
) -> None:
    monitor = start_monitor(requests_per_window=40, window_s=8, host="127.0.0.1")
    dashboard = open_page(monitor)
    dashboard.wait("signed_out")
    use_up_requests(monitor)
    dashboard.expect_network_errors()
    dashboard.sign_in(monitor.token())
    dashboard.wait("limited")
    assert dashboard.text("#state-word").startswith("Limited until ")
    assert re.search(r"limits this address: .* in \d s\.", dashboard.text("#notice-text"))
    assert dashboard.page.get_by_role("button", name="Connect now").count() == 0
    assert dashboard.page.locator("#board").is_hidden(), "whether there are events is not known"
    attempts = len(dashboard.sockets)
    dashboard.wait("live")
    assert len(dashboard.sockets) == attempts + 1, "one attempt, once it could succeed"


def test_a_limited_sign_in_goes_on_over_the_same_connection(
    start_monitor: Start, open_page: Open
) -> None:
    monitor = start_monitor(host="127.0.0.1")
    dashboard = open_page(monitor)
    dashboard.wait("signed_out")
    dashboard.record_states()
    monitor.stop()
    limited = {"requests_per_window": 1, "window_s": 2, "host": "127.0.0.1", "port": monitor.port}
    with RunningMonitor(monitor.state, **limited):
        dashboard.sign_in(monitor.token())
        # The handshake is the one request; `auth` and `subscribe` are each told to wait.
        dashboard.wait("live")
        dashboard.wait_recorded(r"limited fresh Limited until .*: request limit reached\.")
        sent = [json.loads(message)["type"] for message in dashboard.sent]
        assert sent == ["auth", "auth", "subscribe", "subscribe"]
        assert len(dashboard.sockets) == 1
        dashboard.close()


def use_up_requests(monitor: RunningMonitor) -> None:
    """Ask for pages until the address has no request left."""
    for _ in range(1_000):
        with socket.create_connection(("127.0.0.1", monitor.port)) as raw:
            raw.sendall(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n")
            if raw.recv(100).startswith(b"HTTP/1.1 429"):
                return
    pytest.fail("the limit was never reached")


def test_too_many_connections_are_named_though_browsers_hide_the_answer(
    start_monitor: Start, open_page: Open
) -> None:
    monitor = start_monitor(host="127.0.0.1")
    dashboard = open_page(monitor)
    dashboard.wait("signed_out")
    dashboard.expect_network_errors()
    with ExitStack() as held:
        hold_every_connection(monitor, held)
        dashboard.sign_in(monitor.token())
        dashboard.wait("limited")
        assert "too many connections" in dashboard.text("#notice-text")
    dashboard.wait("live")


def hold_every_connection(monitor: RunningMonitor, held: ExitStack) -> None:
    """Hold all ten connections of the address; those of the page's own files may still end."""
    headers = {"Authorization": f"Bearer {monitor.token('publish', subject='holder')}"}
    clients = 0
    for _ in range(50):
        try:
            client = connect(monitor.url, additional_headers=headers, proxy=None)
        except InvalidStatus:
            continue
        held.enter_context(client)
        clients += 1
        if clients == 10:
            return
    pytest.fail(f"{clients} connections could be held")


def test_a_quiet_page_pings_often_enough_to_stay(start_monitor: Start, open_page: Open) -> None:
    dashboard = watching(start_monitor, open_page, idle_timeout_s=6)
    dashboard.wait_sent('{"type":"ping"}', 4)  # a third of that apart: longer than that in all
    assert len(dashboard.sockets) == 1
    dashboard.wait("live")


def test_a_monitor_that_stops_answering_is_noticed_by_the_ping(
    start_monitor: Start, open_page: Open
) -> None:
    dashboard = watching(start_monitor, open_page, clock=True)
    dashboard.expect_network_errors()
    with halted(dashboard.monitor):
        dashboard.page.clock.fast_forward(101_000)  # a third of the idle timeout: a ping is due
        assert dashboard.sent[-1] == '{"type":"ping"}'
        dashboard.wait("live")
        dashboard.pause_clock()
        dashboard.page.clock.fast_forward(10_500)  # and no answer comes
        dashboard.draw_until("waiting", 300)
        assert "stopped answering" in dashboard.text("#notice-text")
    dashboard.page.clock.resume()
    dashboard.wait("live")


def test_offline_is_checked_and_online_connects_at_once(
    start_monitor: Start, open_page: Open
) -> None:
    dashboard = watching(start_monitor, open_page, clock=True)
    dashboard.expect_network_errors()
    dashboard.pause_clock()
    dashboard.monitor.kill()
    dashboard.wait_closed()
    dashboard.context.set_offline(True)
    dashboard.draw_until("waiting", 300)
    for _ in range(4):  # the delay has grown to 8 s at least
        attempts = len(dashboard.sockets)
        dashboard.page.clock.fast_forward(8_000)
        dashboard.wait_closed()
        dashboard.draw_until("waiting", 300)
        assert len(dashboard.sockets) == attempts + 1
    dashboard.wait_text("#notice-text", "this device is offline")
    dashboard.monitor.start()
    dashboard.page.clock.fast_forward(1_100)
    with dashboard.connects_at_once():
        dashboard.context.set_offline(False)
    dashboard.page.clock.resume()
    dashboard.wait("live")


def test_the_probe_behind_these_words_costs_no_request(start_monitor: Start) -> None:
    monitor = start_monitor(requests_per_window=1, host="127.0.0.1")
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", monitor.port)) as raw:
            raw.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert raw.recv(100).startswith(b"HTTP/1.1 200")
