"""What befalls the journal's file, as publishers and readers of the running monitor notice it."""

import shutil
from pathlib import Path

import pytest

from .kit import event, wait_until
from .peers import Peer

pytestmark = pytest.mark.slow


def resumed(monitor, since):
    """Resume behind a cursor; return what is said about it."""
    with Peer(f"{monitor.url}?token={monitor.token()}&stream=off") as reader:
        reader.hear()
        reader.say("subscribe", since=since)
        return reader.until("subscribed")[-1]


def test_a_journal_taken_away_stores_nothing_more_until_it_is_back(tmp_path, start_monitor):
    state = tmp_path / "state"
    monitor = start_monitor(str(state))
    writing = {"additional_headers": {"Authorization": f"Bearer {monitor.token('publish')}"}}
    with Peer(monitor.url, **writing) as writer:
        writer.hear()
        assert writer.publish(event())["offsets"] == [1]
        elsewhere = state.rename(tmp_path / "elsewhere")
        log = elsewhere / "serve.log"
        wait_until(lambda: "removed or replaced while it was open" in log.read_text())
        refused = writer.publish(event())
        assert (refused["code"], refused["retryable"]) == ("unavailable", True)
        elsewhere.rename(state)
        offsets = None
        while offsets is None:  # whoever retries as told gets through
            offsets = writer.publish(event()).get("offsets")
        assert offsets == [2]
    assert monitor.log.count("removed or replaced") == 2  # at its watch, and at a publication


def test_a_cursor_of_what_a_restored_journal_never_had_is_not_recovered(tmp_path, start_monitor):
    state = tmp_path / "state"
    monitor = start_monitor(str(state))
    writing = {"additional_headers": {"Authorization": f"Bearer {monitor.token('publish')}"}}
    with Peer(monitor.url, **writing) as writer:
        writer.hear()
        writer.publish(event())
    monitor.stop()
    shutil.copytree(state, tmp_path / "backup")
    monitor.start()
    with Peer(monitor.url, **writing) as writer:
        writer.hear()
        epoch = resumed(monitor, {"epoch": "", "offset": 0})["epoch"]
        assert writer.publish(event(), event())["offsets"] == [2, 3]
    cursor = {"epoch": epoch, "offset": 3}
    assert resumed(monitor, cursor)["recovered"]
    monitor.kill()
    restore(tmp_path / "backup", state)
    monitor.start()
    with Peer(monitor.url, **writing) as writer:
        writer.hear()
        assert writer.publish(*[event() for _ in range(5)])["offsets"] == [2, 3, 4, 5, 6]
    answer = resumed(monitor, cursor)
    assert not answer["recovered"]
    assert answer["epoch"] != epoch
    assert monitor.log.count("a new epoch begins") == 1


def restore(backup: Path, state: Path) -> None:
    """Put the backup in the place of the state folder."""
    shutil.rmtree(state)
    shutil.copytree(backup, state)
