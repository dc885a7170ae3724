"""The files an audit is asked to write: an earlier audit's are gone before it begins."""

from pathlib import Path

import pytest

from monitor.contract.verdicts import UsageError
from scripts.audit_outputs import STDOUT, Outputs


def test_what_an_earlier_audit_left_is_removed_and_nothing_else(tmp_path):
    old, beside = tmp_path / "junit.xml", tmp_path / "notes.txt"
    old.write_text("<testsuites/>")
    beside.write_text("mine")
    Outputs(json=STDOUT, junit=old, sarif=tmp_path / "new.sarif").require_writable()
    assert list(tmp_path.iterdir()) == [beside]


def test_nothing_is_removed_where_one_of_them_cannot_be_written(tmp_path):
    old = tmp_path / "audit.json"
    old.write_text("{}")
    with pytest.raises(UsageError, match="cannot be written"):
        Outputs(json=old, markdown=tmp_path / "absent" / "summary.md").require_writable()
    assert old.read_text() == "{}"


def test_a_device_stays():
    Outputs(markdown=Path("/dev/null")).require_writable()
    assert Path("/dev/null").exists()
