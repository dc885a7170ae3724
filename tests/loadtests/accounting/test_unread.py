"""What waits unread: counted by passes over the sockets, kept by the periods of a timer."""

import socket

from hypothesis import given
from hypothesis import strategies as st

from loadtests.accounting.unread import Backlog, Unread, left_in, room_of

ALL = slice(None)


def test_a_pass_adds_up_what_waited_in_all_sockets_and_keeps_the_fullest() -> None:
    unread = Unread()
    unread.add(700, 400, 64, 0, last=False)
    unread.add(300, 200, 10, 1, last=True)
    assert unread.between(ALL) == Backlog(1000.0, 1000, 400)


def test_a_period_keeps_its_largest_pass_and_the_next_begins_anew() -> None:
    unread = Unread()
    for waiting, periods in ((900, 0), (100, 1), (50, 1)):
        unread.add(waiting, waiting, 1, periods, last=True)
    assert unread.between(slice(0, 1)) == Backlog(900.0, 900, 900)
    assert unread.between(slice(1, 2)) == Backlog(50.0, 50, 50)


@given(st.integers(1, 100), st.integers(0, 10**6))
def test_what_is_found_after_a_pause_stands_for_every_period_of_it(pause: int, found: int) -> None:
    unread = Unread()
    for _ in range(100 - pause):
        unread.add(1, 1, 1, 1, last=True)
    unread.add(found, found, 1, pause, last=True)
    backlog = unread.between(ALL)
    assert backlog.max_bytes == max(found, pause < 100)
    if pause > 1 and found:
        assert backlog.p99_bytes == found


def test_nothing_is_known_of_a_time_without_a_timer() -> None:
    assert Unread().between(ALL) == Backlog(None, None, None)


def test_what_a_read_left_behind_and_what_a_queue_can_hold_is_the_kernels_word() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.send(b"x" * 1000)
        ours.recv(300)
        assert left_in(ours) == 700
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        assert room_of(ours) >= 65_536
    assert left_in(ours) == 0
