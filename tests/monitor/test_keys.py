import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.contract.verdicts import UsageError
from monitor.keys import (
    SECRET_BYTES,
    KeyFile,
    create_keys,
    load_keys,
    load_or_create_keys,
    rotate_keys,
)

NOW = 1_000_000.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_a_created_file_loads_as_the_same_keys(path: Path) -> None:
    table = create_keys(path)
    assert load_keys(path) == table
    assert len(table.keys[table.current].secret) == SECRET_BYTES == 32


def test_only_the_owner_may_read_the_file_whatever_the_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        create_keys(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    rotate_keys(path, NOW, NOW + 60)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_secrets_and_key_ids_do_not_repeat(tmp_path: Path) -> None:
    tables = [create_keys(tmp_path / f"{number}.json") for number in range(50)]
    assert len({table.keys[table.current].secret for table in tables}) == 50
    assert len({table.current for table in tables}) == 50


def test_an_existing_file_is_never_overwritten_nor_rubbish_left_beside_it(path: Path) -> None:
    path.write_bytes(b"precious")
    with pytest.raises(UsageError, match="exists already"):
        create_keys(path)
    assert path.read_bytes() == b"precious"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.slow
def test_processes_that_start_together_end_up_with_one_key(path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from monitor.keys import load_or_create_keys;"
        " sys.stdin.readline(); print(load_or_create_keys(Path(sys.argv[1])).current)"
    )
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(4)
    ]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write(b"go\n")
        racer.stdin.flush()
    answers = {racer.communicate()[0] for racer in racers}
    assert len(answers) == 1
    assert answers == {load_keys(path).current.encode() + b"\n"}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_file_others_can_read_is_refused_with_the_command_that_mends_it(
    path: Path, mode: int
) -> None:
    create_keys(path)
    path.chmod(mode)
    with pytest.raises(UsageError, match=f"chmod 600 {path}"):
        load_keys(path)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "not json",
        '{"format":2,"current":"a","keys":[]}',
        '{"format":1,"current":"a","keys":[]}',
        '{"format":1,"current":"a","keys":[{"kid":"b","secret":"' + "A" * 44 + '"}]}',
        '{"format":1,"current":"a","keys":[{"kid":"a","secret":"c2hvcnQ="}]}',
        '{"format":1,"current":"../a","keys":[{"kid":"../a","secret":"' + "A" * 44 + '"}]}',
    ],
)
def test_a_malformed_or_weak_key_file_is_refused_and_left_alone(path: Path, content: str) -> None:
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(UsageError, match="key file"):
        load_or_create_keys(path)
    assert path.read_text() == content


def test_an_old_key_is_accepted_until_its_time_and_leaves_the_file_after_it(path: Path) -> None:
    first = create_keys(path).current
    second = rotate_keys(path, NOW, NOW + 60).current
    table = load_keys(path)
    assert (table.current, set(table.keys)) == (second, {first, second})
    assert table.accepted(first, NOW + 59.9) is not None
    assert table.accepted(first, NOW + 60) is None
    assert table.accepted(second, NOW + 1e9) is not None
    rotate_keys(path, NOW + 60, NOW + 120)
    assert first not in load_keys(path).keys


def test_another_rotation_never_lengthens_a_key_s_acceptance(path: Path) -> None:
    first = create_keys(path).current
    rotate_keys(path, NOW, NOW + 60)
    rotate_keys(path, NOW + 1, NOW + 10_000)
    assert load_keys(path).accepted(first, NOW + 60) is None


def test_a_rotation_is_seen_by_a_process_that_polls(path: Path) -> None:
    create_keys(path)
    file = KeyFile(path)
    assert not file.poll()
    table = rotate_keys(path, NOW, NOW + 60)
    assert file.poll()
    assert file.table == table
    assert not file.poll()


def test_a_key_file_that_vanishes_leaves_the_last_keys_in_force(path: Path) -> None:
    table = create_keys(path)
    file = KeyFile(path)
    path.unlink()
    with pytest.raises(UsageError, match="no such file"):
        file.poll()
    assert file.table == table


def test_a_secret_is_not_shown_when_a_table_is_printed(path: Path) -> None:
    table = create_keys(path)
    assert repr(table.keys[table.current].secret) not in repr(table)
