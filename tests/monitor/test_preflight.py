"""`--check`: what would keep the server from starting is told beforehand."""

import sqlite3
import sys
from pathlib import Path

import pytest

from monitor import preflight
from monitor.contract.verdicts import UsageError
from monitor.journal import MIN_BYTES, Journal
from monitor.keys import create_keys
from monitor.registry import Registry
from monitor.settings import Settings
from monitor.statefolder import StateFolder, open_state_folder


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    folder = open_state_folder(tmp_path / "state")
    create_keys(folder.keys)
    Registry(folder.tokens).close()
    Journal.open(folder.journal, max_events=1, max_bytes=MIN_BYTES, max_age_s=1.0).close()
    return folder


def contents(state: StateFolder) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in state.path.iterdir()}


def test_a_folder_in_use_is_in_order_and_stays_as_it_is(state: StateFolder) -> None:
    running = Journal.open(state.journal, max_events=1, max_bytes=MIN_BYTES, max_age_s=1.0)
    before = contents(state)
    preflight.check(Settings(state=str(state.path)))
    assert contents(state) == before
    running.close()


def test_a_folder_that_is_not_there_is_in_order_and_is_not_made(tmp_path: Path) -> None:
    preflight.check(Settings(state=str(tmp_path / "new")))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["keys.json", "tokens.db", "journal.db"])
def test_a_file_of_others_in_the_state_folder_is_told(state: StateFolder, name: str) -> None:
    (state.path / name).write_bytes(b"somebody else's" * 10)
    before = contents(state)
    with pytest.raises(UsageError, match=name):
        preflight.check(Settings(state=str(state.path)))
    assert contents(state) == before


def test_keys_others_may_read_are_told(state: StateFolder) -> None:
    state.keys.chmod(0o644)
    with pytest.raises(UsageError, match="chmod 600"):
        preflight.check(Settings(state=str(state.path)))


def test_a_database_of_a_later_version_is_told(state: StateFolder) -> None:
    database = sqlite3.connect(state.journal)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(UsageError, match="format 99"):
        preflight.check(Settings(state=str(state.path)))


def test_a_name_that_means_nothing_and_a_loop_that_is_not_there_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = str(tmp_path / "new")
    with pytest.raises(UsageError, match="does not resolve"):
        preflight.check(Settings(state=state, host="no-such-host.invalid", behind_proxy=True))
    monkeypatch.setitem(sys.modules, "uvloop", None)
    with pytest.raises(UsageError, match="uvloop is not installed"):
        preflight.check(Settings(state=state, event_loop="uvloop"))


def test_an_address_of_another_machine_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"192\.0\.2\.1: is none of this machine's"):
        preflight.check(Settings(state=str(tmp_path / "new"), host="192.0.2.1", behind_proxy=True))
