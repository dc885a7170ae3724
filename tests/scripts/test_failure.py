"""`--json`: one document on stdout, or in the file that was named, whatever became of a command."""

import json
from pathlib import Path

import pytest

from monitor.contract.verdicts import ExitCode
from scripts.failure import document, meaning, tell
from scripts.wsproof import run

#: Arguments, exit code, verdict, and what the reason says.
FAILURES = [
    (["load", "--json"], 2, None, "which scenario?"),
    (["load", "chaptre", "--json"], 2, None, "did you mean 'chapter'?"),
    (["load", "chapter", "--rate", "soon", "--json"], 2, None, "'--rate'"),
    (["load", "chapter", "--json", "--target", "{absent}"], 3, "INVALID", "not reachable"),
    (["load", "resume", "--json", "--target", "{absent}"], 3, "NOT_APPLICABLE", "needs `resume`"),
    (["load", "chapter", "--json", "--target", "{foreign}"], 5, None, "--i-am-allowed-to-test"),
    (["audit", "--json", "-", "--target", "none.toml"], 2, None, "no such file"),
    (["audit", "--json=-", "--only", "NOPE"], 3, None, "checks matches 'NOPE'"),
    (["audit", "--json", "-", "--tier", "rough"], 2, None, "gentle or destructive"),
    (["audit", "--json"], 2, None, "requires an argument"),
    (["report", "claims", "--json", "--runs", "none"], 3, None, "no runs yet"),
    (["report", "claims", "--json", "--claims", "none.toml"], 2, None, "no such file"),
    (["report", "compare", "one", "other", "--json", "--runs", "none"], 3, None, "one"),
    (["report", "compare", "one", "--json"], 2, None, "second"),
    (
        ["report", "claims", "--json", "--runs", "reports/data", "--document", "none.md"],
        *(2, None, "none.md"),
    ),
]


@pytest.fixture
def profiles(tmp_path: Path) -> dict[str, str]:
    """Nobody listens at the one, and the other is no address of this machine."""
    made = {}
    for name, url in (("absent", "ws://127.0.0.1:9/"), ("foreign", "ws://192.0.2.1/")):
        path = tmp_path / f"{name}.toml"
        path.write_text(f'name = "{name}"\nurl = "{url}"\n[publish]\nmessage = "{{event}}"\n')
        made[name] = str(path)
    return made


@pytest.mark.parametrize(("arguments", "code", "verdict", "reason"), FAILURES)
def test_a_program_is_told_why_there_is_no_result(
    profiles: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    verdict: str | None,
    reason: str,
) -> None:
    monkeypatch.setenv("WSPROOF_RUNS", str(tmp_path / "runs"))
    assert run([one.format(**profiles) for one in arguments]) == code
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert (told["verdict"], told["exit_code"]) == (verdict, code)
    assert told["exit_meaning"] == meaning(code)
    assert reason in told["reasons"][0]
    assert said.err
    assert "Traceback" not in said.err


def test_an_audits_failure_takes_the_place_of_what_an_earlier_one_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "audit.json"
    file.write_text('{"findings": [{"id": "HS1"}]}')
    assert run(["audit", "--json", str(file), "--target", str(tmp_path / "none.toml")]) == 2
    told = json.loads(file.read_text())
    assert told["findings"] == []
    assert told["exit_code"] == 2
    assert capsys.readouterr().out == ""


def test_a_file_that_cannot_be_written_is_no_second_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", "--json", str(tmp_path / "none" / "audit.json")]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_who_asks_for_no_json_gets_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["load", "chaptre"]) == 2
    assert capsys.readouterr().out == ""


def test_a_defect_is_told_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    tell(["load", "chapter", "--json"], "internal error", ExitCode.INTERNAL)
    told = json.loads(capsys.readouterr().out)
    assert (told["verdict"], told["exit_meaning"]) == (None, "a defect of wsproof")


def test_every_exit_code_has_a_meaning_and_a_failed_load_is_no_other_object() -> None:
    assert len({meaning(code) for code in ExitCode}) == len(ExitCode)
    told = document("load", "it did not", ExitCode.USAGE)
    assert {"run", "claims", "metrics", "evidence", "report"} <= set(told)
