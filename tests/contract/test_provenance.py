import getpass
import platform
from pathlib import Path

import msgspec
import pytest

from monitor.contract.provenance import Collector, digest_tree


@pytest.fixture
def code(tmp_path):
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "a.py").write_text("a = 1\n")
    return folder


def test_the_digest_follows_every_byte_and_name_and_no_bytecode(code):
    first = digest_tree(code)
    (code / "__pycache__").mkdir()
    (code / "__pycache__" / "a.pyc").write_bytes(b"compiled")
    assert digest_tree(code) == first
    (code / "a.py").write_text("a = 2\n")
    changed = digest_tree(code)
    (code / "a.py").rename(code / "b.py")
    assert len({first, changed, digest_tree(code)}) == 3


def test_the_record_tells_the_conditions_and_identifies_nobody(code):
    found = Collector("wsproof load chapter", 7, code, code / "a.py").finish()
    assert (found.command, found.seed, found.commit) == ("wsproof load chapter", 7, None)
    assert found.memory_bytes > 0
    assert "msgspec" in found.libraries
    text = msgspec.json.encode(found).decode()
    for private in (str(Path.home()) + "/", str(code), f'"{getpass.getuser()}"'):
        assert private not in text
    assert found.host != platform.node()
