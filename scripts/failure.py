"""What a command that was asked for JSON tells a program when it comes to no result.

The words for people go to stderr as ever. `--json FILE` of an audit gets the document as that
file: what an earlier audit left there must not be taken for an answer.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from monitor.contract.verdicts import ExitCode, RunVerdict, Verdict

_OPTION = "--json"

#: The commands that have the option, and of those the ones that want a file after it.
_COMMANDS = frozenset({"audit", "doctor", "load", "report", "token"})
_INTO_A_FILE = frozenset({"audit"})

_MEANINGS = {
    ExitCode.HOLDS: "every claim and objective holds",
    ExitCode.BROKEN: (
        "a check failed, a claim is false, an objective was missed or a figure got worse"
    ),
    ExitCode.USAGE: "wrong usage or configuration",
    ExitCode.NO_VERDICT: "no verdict possible",
    ExitCode.STALE: "a document is stale or was edited by hand",
    ExitCode.REFUSED: "refused by a guard: only this machine is tested unless you say otherwise",
    ExitCode.INTERNAL: "a defect of wsproof",
}


def meaning(code: int) -> str:
    """Return what an exit code says, in words."""
    return _MEANINGS[ExitCode(code)]


def tell(arguments: Sequence[str], reason: str, code: int) -> None:
    """Print one JSON document, or write it where an audit's goes, if JSON was asked for."""
    command = arguments[0] if arguments else ""
    given = [at for at, one in enumerate(arguments) if one.partition("=")[0] == _OPTION]
    if command not in _COMMANDS or not given:
        return
    text = json.dumps(document(command, reason, code)) + "\n"
    file = ""
    if command in _INTO_A_FILE:
        _, equals, file = arguments[given[-1]].partition("=")
        file = file if equals else "".join(arguments[given[-1] + 1 : given[-1] + 2])
    if file in {"", "-"}:
        sys.stdout.write(text)
        return
    try:
        Path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        print(f"wsproof: {file}: cannot be written: {error.strerror}", file=sys.stderr)


def document(command: str, reason: str, code: int) -> dict[str, Any]:
    """Return the verdict, if that there is none leaves one, the reason and the exit code.

    Of a load or an audit it is the object of any, without what there is none of.
    """
    mark = f"{Verdict.NOT_APPLICABLE}: "
    verdict: str | None = None
    if reason.startswith(mark):
        verdict = Verdict.NOT_APPLICABLE
    elif command == "load" and code == ExitCode.NO_VERDICT:
        verdict = RunVerdict.INVALID
    told = {
        "verdict": verdict,
        "reasons": [reason.removeprefix(mark)],
        "exit_code": int(code),
        "exit_meaning": meaning(code),
    }
    if command == "load":
        return {
            "run": None,
            **told,
            "notes": [],
            "claims": {},
            "metrics": {},
            "evidence": None,
            "report": None,
        }
    return {**told, "findings": []} if command == "audit" else told
