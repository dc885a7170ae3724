import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.contract.verdicts import UsageError
from monitor.registry import IssuedToken, Registry, Revocations
from monitor.tokens import Grant, Scope

NOW = 1_700_000_000.0


def grant(number: int = 1, subject: str = "alice", expires_at: float = NOW + 60) -> Grant:
    scopes = frozenset({Scope.PUBLISH, Scope.SUBSCRIBE})
    return Grant(subject, scopes, f"{number:032x}", NOW, expires_at)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tokens.db"


def test_what_was_issued_is_listed_and_found_after_reopening(path: Path) -> None:
    with Registry(path) as registry:
        registry.record(grant(1))
        registry.record(grant(2, "bob", NOW + 30))
    with Registry(path) as registry:
        listed = registry.list(NOW)
        assert listed == [
            IssuedToken(grant(2, "bob", NOW + 30), revoked=False, disabled=False),
            IssuedToken(grant(1), revoked=False, disabled=False),
        ]
        assert registry.find(grant(1).token_id) == grant(1)
        assert registry.find("unknown") is None


def test_only_the_owner_may_read_the_table(path: Path) -> None:
    before = os.umask(0)
    try:
        Registry(path).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_revoked_and_disabled_show_in_the_list(path: Path) -> None:
    with Registry(path) as registry:
        registry.record(grant(1))
        registry.record(grant(2, "bob"))
        registry.revoke(grant(1).token_id, NOW + 60)
        registry.disable("bob")
        registry.disable("bob")
        listed = registry.list(NOW)
        assert [(token.revoked, token.disabled) for token in listed] == [
            (True, False),
            (False, True),
        ]
        assert registry.disabled() == ("bob",)
        assert registry.enable("bob")
        assert not registry.enable("bob")
        assert registry.disabled() == ()


def test_what_has_expired_is_forgotten_but_never_a_disabled_subject(path: Path) -> None:
    with Registry(path) as registry:
        registry.record(grant(1))
        registry.revoke(grant(1).token_id, NOW + 60)
        registry.disable("alice")
        assert registry.forget(NOW + 59) == 0
        assert registry.forget(NOW + 60) == 1
        assert registry.list(NOW) == []
        watch = Revocations(path)
        assert watch.poll()
        assert watch.refuses(grant(1))
        assert not watch.refuses(grant(1, "bob"))
        watch.close()


def test_a_second_revocation_never_ends_the_first_early(path: Path) -> None:
    with Registry(path) as registry:
        registry.revoke(grant(1).token_id, NOW + 60)
        registry.revoke(grant(1).token_id, NOW + 1)
        registry.forget(NOW + 30)
        watch = Revocations(path)
        watch.poll()
        assert watch.refuses(grant(1))
        watch.close()


def test_the_watcher_waits_for_a_table_that_is_not_there_yet(path: Path) -> None:
    watch = Revocations(path)
    assert not watch.poll()
    assert not watch.refuses(grant())
    with Registry(path) as registry:
        assert not watch.poll()  # a new table refuses nobody
        registry.revoke(grant().token_id, NOW + 60)
        assert watch.poll()
        assert watch.refuses(grant())
        assert not watch.refuses(grant(2))
        assert not watch.poll()
    watch.close()


def test_a_change_that_refuses_nobody_new_is_no_change(path: Path) -> None:
    watch = Revocations(path)
    with Registry(path) as registry:
        registry.record(grant())
        assert not watch.poll()
        registry.revoke(grant().token_id, NOW + 60)
        assert watch.poll()
        registry.revoke(grant().token_id, NOW + 60)
        assert not watch.poll()
    watch.close()


def test_a_table_that_was_replaced_is_followed_and_one_removed_keeps_its_word(path: Path) -> None:
    watch = Revocations(path)
    with Registry(path) as registry:
        registry.disable("alice")
    assert watch.poll()
    path.unlink()
    assert not watch.poll()
    assert watch.refuses(grant())
    with Registry(path) as registry:
        registry.disable("bob")
    assert watch.poll()
    assert watch.refuses(grant(1, "bob"))
    assert not watch.refuses(grant())
    watch.close()


@pytest.mark.slow
def test_another_process_s_write_is_seen(path: Path) -> None:
    watch = Revocations(path)
    program = (
        "import sys; from pathlib import Path; from monitor.registry import Registry\n"
        "with Registry(Path(sys.argv[1])) as registry: registry.disable('alice')"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=True)
    assert watch.poll()
    assert watch.refuses(grant())
    watch.close()


def test_a_table_in_the_middle_of_a_write_is_left_to_the_next_poll(path: Path) -> None:
    with Registry(path) as registry:
        registry.disable("alice")
    watch = Revocations(path)
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    assert not watch.poll()
    writer.execute("COMMIT")
    writer.close()
    assert watch.poll()
    assert watch.refuses(grant())
    watch.close()


def test_a_table_locked_for_good_is_an_error_that_says_so(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.registry._BUSY_S", 0.05)
    with Registry(path) as registry:
        writer = sqlite3.connect(path, isolation_level=None)
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(UsageError, match="another process is writing"):
            registry.disable("alice")
        writer.close()
        registry.disable("alice")


@pytest.mark.parametrize("open_table", [Registry, lambda path: Revocations(path).poll()])
def test_a_foreign_damaged_or_newer_file_is_refused_and_left_alone(
    path: Path, open_table: type[Registry]
) -> None:
    path.write_bytes(b"somebody else's\n" * 100)
    with pytest.raises(UsageError, match="not a token table of wsproof"):
        open_table(path)
    path.unlink()
    with sqlite3.connect(path) as foreign:
        foreign.execute("CREATE TABLE issued (a)")
    foreign.close()
    before = path.read_bytes()
    with pytest.raises(UsageError, match="not a token table of wsproof"):
        open_table(path)
    assert path.read_bytes() == before
    path.unlink()
    Registry(path).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 9")
    database.close()
    with pytest.raises(UsageError, match="format 9, expected 1"):
        open_table(path)


def test_damage_inside_is_an_error_and_what_was_refused_stays_refused(path: Path) -> None:
    watch = Revocations(path)
    with Registry(path) as registry:
        registry.disable("alice")
        assert watch.poll()
        registry.disable("bob")
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * (path.stat().st_size - 100))
    with pytest.raises(UsageError, match="it is damaged"):
        watch.poll()
    assert watch.refuses(grant())
    watch.close()


def test_a_path_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a regular file"):
        Registry(tmp_path)
    with pytest.raises(UsageError, match="cannot be opened"):
        Registry(tmp_path / "missing" / "tokens.db")


ACTION = st.tuples(
    st.sampled_from(["revoke", "disable", "enable", "forget"]), st.integers(1, 3), st.integers(0, 9)
)


@settings(max_examples=30)
@given(st.lists(ACTION, max_size=12))
def test_the_watcher_refuses_what_a_plain_model_does(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[str, int, int]]
) -> None:
    path = tmp_path_factory.mktemp("registry") / "tokens.db"
    revoked: dict[int, int] = {}
    disabled: set[int] = set()
    watch = Revocations(path)
    with Registry(path) as registry:
        for what, number, time in actions:
            before = (set(revoked), set(disabled))
            if what == "revoke":
                registry.revoke(f"{number:032x}", time)
                revoked[number] = max(time, revoked.get(number, 0))
            elif what == "disable":
                registry.disable(str(number))
                disabled.add(number)
            elif what == "enable":
                assert registry.enable(str(number)) is (number in disabled)
                disabled.discard(number)
            else:
                registry.forget(time)
                revoked = {key: until for key, until in revoked.items() if until > time}
            assert watch.poll() == (before != (set(revoked), disabled))
            for each in range(1, 4):
                assert watch.refuses(grant(each, "zoe")) is (each in revoked)
                assert watch.refuses(grant(9, str(each))) is (each in disabled)
    watch.close()
