"""Pings, pongs, and what comes after a close cost little to say: how much is heard is bounded."""

import urllib.request

import pytest

from monitor.limits import ControlFrames

from .peers import Raw, masked

PING, PONG = masked(9, b""), masked(10, b"")
TOO_MANY = b"\x88\x10" + (4429).to_bytes(2) + b"too many pings"


def test_a_window_of_control_frames_begins_with_the_first_after_the_last():
    frames = ControlFrames(2, 10.0)
    assert [frames.take(now) for now in (0.0, 9.0, 9.9)] == [True, True, False]
    assert [frames.take(now) for now in (25.0, 34.9, 34.9, 35.0)] == [True, True, False, True]


@pytest.mark.slow
@pytest.mark.parametrize("frame", [PING, PONG], ids=["pings", "pongs"])
def test_a_flood_of_control_frames_ends_with_4429(start_monitor, frame):
    monitor = start_monitor(control_frames_per_window=5)
    with Raw(monitor.port) as raw:
        raw.upgrade("/")
        raw.send(frame * 1_000)
        heard = raw.rest()
    assert heard.count(b"\x8a\x00") == (5 if frame is PING else 0)  # pongs
    assert heard.endswith(TOO_MANY)


@pytest.mark.slow
def test_as_many_pings_as_are_allowed_are_answered(start_monitor):
    monitor = start_monitor()
    with Raw(monitor.port) as raw:
        raw.upgrade("/")
        raw.send(PING * 100 + masked(8, (1000).to_bytes(2)))
        heard = raw.rest()
    assert heard.count(b"\x8a\x00") == 100
    assert heard.endswith(b"\x88\x02" + (1000).to_bytes(2))


@pytest.mark.slow
def test_answers_to_the_monitors_own_pings_are_free(start_monitor):
    monitor = start_monitor(ping_interval_s=0.05, window_s=3600, control_frames_per_window=2)
    with Raw(monitor.port) as raw:
        raw.upgrade(f"/?token={monitor.token('publish')}")
        for _ in range(5):
            raw.until(b"\x89\x00")
            raw.send(PONG)
        raw.send(PONG * 100)  # nobody asked for these: two are allowed
        assert raw.rest().endswith(TOO_MANY)


@pytest.mark.slow
def test_who_is_closed_for_a_flood_of_pings_is_told_of_as_evicted(start_monitor):
    monitor = start_monitor(public_status=True, control_frames_per_window=5)
    with Raw(monitor.port) as raw:
        raw.upgrade(f"/?token={monitor.token('publish')}")
        raw.send(PING * 6)
        assert raw.rest().endswith(TOO_MANY)
    assert "connection closed: 4429 too many pings" in monitor.log
    with urllib.request.urlopen(f"{monitor.http}/metrics") as answer:  # noqa: S310 - our own
        assert 'wsproof_evictions_total{reason="limited"} 1.0' in answer.read().decode()


@pytest.mark.slow
def test_who_talks_on_after_the_close_is_not_listened_to(start_monitor):
    monitor = start_monitor(close_timeout_s=60)  # longer than the test waits
    with Raw(monitor.port) as raw:
        raw.upgrade(f"/?token={monitor.token('publish')}")
        raw.send(masked(2, b"binary"))
        raw.send(masked(1, b"{}") * 10_000)
        heard = raw.rest()  # the monitor ends the stream, though no close frame comes
    assert heard.count(b"\x88") == 1
    assert (4400).to_bytes(2) in heard


@pytest.mark.slow
def test_who_finishes_what_was_under_way_may_close_in_order(start_monitor):
    monitor = start_monitor(close_timeout_s=60)
    with Raw(monitor.port) as raw:
        raw.upgrade(f"/?token={monitor.token('publish')}")
        raw.send(masked(2, b"binary") + masked(1, b"{}") * 500 + masked(8, (4400).to_bytes(2)))
        heard = raw.rest()
    assert heard.count(b"\x88") == 1


@pytest.mark.slow
def test_who_sends_fragments_without_end_is_not_listened_to(start_monitor):
    monitor = start_monitor(close_timeout_s=60)  # longer than the test waits
    with Raw(monitor.port) as raw:
        raw.upgrade(f"/?token={monitor.token('publish')}")
        raw.send(masked(1, b"", fin=False) + masked(0, b"", fin=False) * 64)
        heard = raw.rest()  # the monitor ends the stream, though no close frame comes
    assert heard.endswith((4400).to_bytes(2) + b"too many fragments")
