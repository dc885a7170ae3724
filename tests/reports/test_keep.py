"""Keeping a run: whole but for the conversations of checks that passed, and it says so."""

import msgspec
import pytest

from monitor.contract.evidence import FINDINGS, TRANSCRIPTS, RunWriter, load_run
from monitor.contract.findings import TranscriptLine
from monitor.contract.verdicts import NoVerdictError, UsageError
from reports.keep import keep
from tests.reports import synthetic

VERDICTS = {"AU1": "PASS", "HS1": "FAIL", "HS2": "INCONCLUSIVE", "RL1": "WAIVED", "TL1": "PASS"}


@pytest.fixture
def audit(tmp_path):
    """An audit in which each check sent three lines."""
    quiet = load_run(synthetic.write_audit(tmp_path / "quiet", VERDICTS))
    with RunWriter(tmp_path / "runs", quiet.record.id) as writer:
        writer.copy(quiet.path / FINDINGS)
        writer.write_lines(
            TRANSCRIPTS,
            (
                TranscriptLine(check, "", number, 1, "sent", f"{check} said {number}", 1)
                for check in VERDICTS
                for number in range(3)
            ),
        )
        return load_run(writer.finish(quiet.record))


def test_conversations_of_checks_that_passed_are_left_out_and_the_copy_says_so(audit, tmp_path):
    kept = load_run(keep(audit.path, tmp_path / "kept"))
    told = [line["check"] for line in kept.lines(TRANSCRIPTS)]
    assert told == ["HS1"] * 3 + ["HS2"] * 3 + ["RL1"] * 3
    lacking = kept.record.left_out[TRANSCRIPTS]
    assert (lacking.lines, lacking.sha256) == (6, audit.record.files[TRANSCRIPTS])
    assert "checks that passed" in lacking.what
    assert kept.record.files[FINDINGS] == audit.record.files[FINDINGS]
    assert kept.record.whole == audit.record
    assert audit.record.whole == audit.record


def test_a_copy_is_sealed_like_the_run_itself(audit, tmp_path):
    place = keep(audit.path, tmp_path / "kept")
    (place / TRANSCRIPTS).chmod(0o644)
    (place / TRANSCRIPTS).write_bytes((audit.path / TRANSCRIPTS).read_bytes())
    with pytest.raises(NoVerdictError, match=r"transcripts\.jsonl was changed after the run"):
        load_run(place)


def test_keeping_again_a_run_or_its_copy_changes_nothing(audit, tmp_path):
    place = keep(audit.path, tmp_path / "kept")
    assert keep(audit.path, tmp_path / "kept") == keep(place, tmp_path / "kept") == place
    again = keep(place, tmp_path / "elsewhere")
    assert (again / "run.json").read_bytes() == (place / "run.json").read_bytes()
    assert [path.name for path in (tmp_path / "kept").iterdir()] == [audit.record.id]


def test_another_run_of_the_same_id_is_still_told_from_a_copy(audit, tmp_path):
    keep(audit.path, tmp_path / "kept")
    with RunWriter(tmp_path / "other", audit.record.id) as writer:
        writer.copy(audit.path / FINDINGS)
        writer.write_lines(TRANSCRIPTS, list(audit.lines(TRANSCRIPTS))[:-1])
        other = writer.finish(audit.record)
    with pytest.raises(UsageError, match="another run of that id is kept already"):
        keep(other, tmp_path / "kept")


def test_conversations_that_no_check_concluded_on_are_kept_whole(audit, tmp_path):
    with RunWriter(tmp_path / "trace", "20250101-130009-trace-protocol-5eed") as writer:
        writer.copy(audit.path / TRANSCRIPTS)
        record = msgspec.structs.replace(
            audit.record, id="20250101-130009-trace-protocol-5eed", kind="trace"
        )
        trace = load_run(writer.finish(record))
    place = keep(trace.path, tmp_path / "kept")
    for name in (*trace.record.files, "run.json"):
        assert (place / name).read_bytes() == (trace.path / name).read_bytes()


def test_what_a_kill_left_of_an_earlier_keeping_is_no_hindrance(audit, tmp_path):
    (tmp_path / "kept" / f".{audit.record.id}.partial").mkdir(parents=True)
    keep(audit.path, tmp_path / "kept")
    assert [path.name for path in (tmp_path / "kept").iterdir()] == [audit.record.id]
