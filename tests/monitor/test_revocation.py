"""What ends a token ends its live connections, whatever state the files of the folder are in."""

import time

import pytest
from websockets.exceptions import InvalidStatus

from monitor.keys import rotate_keys

from .peers import Peer

pytestmark = pytest.mark.slow


def test_a_dropped_key_ends_its_tokens_connections_and_an_old_one_when_its_time_is_over(
    start_monitor,
):
    monitor = start_monitor()
    token = monitor.token()
    with Peer(f"{monitor.url}?token={token}") as reader:
        reader.until("subscribed")
        until = time.time() + 5
        rotate_keys(monitor.state / "keys.json", time.time(), until)
        assert reader.end() == (4401, "token expired")
        assert -0.05 <= time.time() - until < 15
    with Peer(f"{monitor.url}?token={monitor.token()}") as reader:
        reader.until("subscribed")
        monitor.command("token", "rotate", "--drop-old")
        assert reader.end() == (4401, "token no longer valid")


def test_an_unusable_key_file_is_told_once_and_stops_no_revocation(start_monitor):
    monitor = start_monitor()
    token = monitor.token()
    keys = monitor.state / "keys.json"
    with Peer(f"{monitor.url}?token={token}") as reader:
        reader.until("subscribed")
        keys.write_bytes(keys.read_bytes()[:20])
        monitor.command("token", "disable", "tester")
        assert reader.end() == (4401, "token no longer valid")
    with pytest.raises(InvalidStatus, match="401"):
        Peer(f"{monitor.url}?token={token}")
    assert monitor.log.count("keys stay as they were") == 1
