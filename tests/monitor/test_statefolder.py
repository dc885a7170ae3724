import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from monitor.contract.verdicts import UsageError
from monitor.statefolder import open_state_folder

#: The user without rights, on Debian and elsewhere.
NOBODY = 65_534


def test_a_state_folder_is_made_for_its_owner_only_and_opened_again(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        folder = open_state_folder(tmp_path / "a" / "state")
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert open_state_folder(folder.path) == folder
    names = [file.name for file in (folder.keys, folder.tokens, folder.journal)]
    assert names == ["keys.json", "tokens.db", "journal.db"]


def test_a_missing_folder_is_not_made_when_only_looked_for(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        open_state_folder(tmp_path / "typo", create=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("below", ["", "state"])
def test_a_file_in_its_place_is_refused(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="a file stands there"):
        open_state_folder(tmp_path / "file" / below)


@pytest.mark.parametrize("path", ["/proc/wsproof", "/dev/null/state"])
def test_a_folder_that_cannot_be_made_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="--state"):
        open_state_folder(Path(path))


@contextmanager
def as_somebody() -> Iterator[None]:
    """Give up root's privileges for a while; whoever is not root has none to give up."""
    if os.geteuid() != 0:
        yield
        return
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


def test_a_folder_without_permission_is_refused_with_the_command() -> None:
    # Not below pytest's own folder, which only its owner may enter.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o500)
        with as_somebody(), pytest.raises(UsageError, match="chmod"):
            open_state_folder(Path(folder))
