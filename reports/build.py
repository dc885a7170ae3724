"""Builds a report, of one run or of the newest evidence of everything: tables, figures and pages.

The output folder is written beside its place and swapped in when complete: a reader sees the old
report or the new one, never half of either.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from monitor.contract.claims import Claim, Judgement, conclusion
from monitor.contract.evidence import RunRecord, load_run
from monitor.contract.verdicts import ExitCode, RunVerdict, UsageError
from reports.account import Account, of_run
from reports.exhibits import Plot, Section, Table
from reports.render_figure import render_figure
from reports.render_html import render_page
from reports.render_markdown import render_report, render_table, summary

_PAGE = "report.html"
_MARKDOWN = "report.md"
_SUMMARY = "report.json"


class Report(msgspec.Struct, frozen=True):
    """A finished report: the claims table (Markdown), the judgements, and where the pages are."""

    table: str
    judgements: tuple[Judgement, ...]
    markdown: Path
    page: Path
    folder: Path


def build(run_path: Path, claims: tuple[Claim, ...], out: Path) -> Report:
    """Judge a run and write its report into the folder `out`, replacing a report there.

    Raises:
        NoVerdictError: the run cannot be read or was changed.
        UsageError: `out` cannot be written, or holds something that is not a report.
    """
    return publish(of_run(load_run(run_path), claims), out)


def publish(account: Account, out: Path) -> Report:
    """Write a report into the folder `out`, replacing a report there.

    Raises:
        UsageError: `out` cannot be written, or holds something that is not a report.
    """
    _refuse_foreign(out)
    partial = out.with_name(f".{out.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)  # left by a build that was killed
        partial.mkdir(parents=True)
        _write(account, partial)
        _swap(partial, out)
    except OSError as error:
        raise UsageError(
            f"report folder {out}: cannot be written: {error.strerror}; pass --out DIR"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    table = claims_markdown(account)
    return Report(table, account.judgements, out / _MARKDOWN, out / _PAGE, out)


def exit_code(record: RunRecord, judgements: Sequence[Judgement]) -> ExitCode:
    """Return what a command on one run ends with: an INVALID run concludes nothing."""
    if record.verdict is RunVerdict.INVALID:
        return ExitCode.NO_VERDICT
    return conclusion(judgements)


def concluded(account: Account) -> ExitCode:
    """Return what a report ends with: that of its one run, or how all claims stand."""
    if len(account.records) == 1:
        return exit_code(account.records[0], account.judgements)
    return conclusion(account.judgements)


def claims_markdown(account: Account) -> str:
    """Return the claims table as Markdown, or the sentence that stands in for it.

    What only the scenario measures stands below it.
    """
    tables = {
        section: [
            render_table(one.thing)
            for one in account.shown
            if one.section is section and isinstance(one.thing, Table)
        ]
        for section in (Section.CLAIMS, Section.OWN)
    }
    nothing = f"{summary(account.judgements).capitalize()}: none speaks of this scenario."
    return "\n\n".join([*(tables[Section.CLAIMS] or [nothing]), *tables[Section.OWN]])


def _write(account: Account, folder: Path) -> None:
    for one in account.shown:
        if isinstance(one.thing, Plot) and one.record is not None:
            render_figure(one.thing, one.record, folder, one.name)
    (folder / _MARKDOWN).write_text(render_report(account), encoding="utf-8")
    (folder / _PAGE).write_text(render_page(account, folder), encoding="utf-8")
    (folder / _SUMMARY).write_bytes(_summary(account))


def _summary(account: Account) -> bytes:
    content = {
        "runs": [
            {"run": record.id, "verdict": record.verdict, "reasons": record.reasons}
            for record in account.records
        ],
        "claims": [
            {"run": one.run.id if one.run else None, **msgspec.to_builtins(one.judgement)}
            for one in account.standings
        ],
        "exit_code": concluded(account),
    }
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"


def _refuse_foreign(out: Path) -> None:
    """Refuse to replace a folder that is not a report: it may be someone's work."""
    if out.exists() and not (out / _SUMMARY).is_file() and not _empty(out):
        raise UsageError(
            f"report folder {out}: exists and is not a report of wsproof (it has no {_SUMMARY});"
            " pass --out with a new folder"
        )


def _empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def _swap(partial: Path, out: Path) -> None:
    """Put the finished folder in its place; the old one goes only when the new one is there."""
    old = out.with_name(f".{out.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if out.exists():
        out.rename(old)
    try:
        partial.rename(out)
    except OSError:
        if old.exists():
            old.rename(out)
        raise
    shutil.rmtree(old, ignore_errors=True)
