"""Builds the report of one run: the table, the figures and the page, from its folder alone.

The output folder is written beside its place and swapped in when complete: a reader sees the old
report or the new one, never half of either.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from monitor.contract.claims import Claim, Judgement
from monitor.contract.evidence import RunRecord, load_run
from monitor.contract.verdicts import ExitCode, RunVerdict, UsageError
from reports.dossier import Dossier, open_dossier
from reports.exhibits import Plot, exhibits
from reports.render_figure import render_figure
from reports.render_html import render_page
from reports.render_markdown import Made, render_report, render_table, summary
from reports.standing import conclusion, judge_all
from reports.tables.claims import claims as claims_table

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
    run = load_run(run_path)
    dossier = open_dossier(run, judge_all(claims, run))
    _refuse_foreign(out)
    partial = out.with_name(f".{out.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)  # left by a build that was killed
        partial.mkdir(parents=True)
        _write(dossier, partial)
        _swap(partial, out)
    except OSError as error:
        raise UsageError(
            f"report folder {out}: cannot be written: {error.strerror}; pass --out DIR"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Report(claims_markdown(dossier), dossier.judgements, out / _MARKDOWN, out / _PAGE, out)


def exit_code(record: RunRecord, judgements: Sequence[Judgement]) -> ExitCode:
    """Return what a command on one run ends with: an INVALID run concludes nothing."""
    if record.verdict is RunVerdict.INVALID:
        return ExitCode.NO_VERDICT
    return conclusion(judgements)


def claims_markdown(dossier: Dossier) -> str:
    """Return the claims table as Markdown, or the sentence that stands in for it."""
    table = claims_table(dossier)
    if table is None:
        return f"{summary(dossier.judgements).capitalize()}: none speaks of this scenario."
    return render_table(table)


def _write(dossier: Dossier, folder: Path) -> None:
    made: list[Made] = []
    for exhibit in exhibits():
        one = exhibit.make(dossier)
        if one is None:
            continue
        made.append((exhibit, one))
        if isinstance(one, Plot):
            render_figure(one, dossier.record, folder, exhibit.name)
    (folder / _MARKDOWN).write_text(render_report(dossier, made), encoding="utf-8")
    (folder / _PAGE).write_text(render_page(dossier, made, folder), encoding="utf-8")
    (folder / _SUMMARY).write_bytes(_summary(dossier))


def _summary(dossier: Dossier) -> bytes:
    record = dossier.record
    content = {
        "run": record.id,
        "verdict": record.verdict,
        "reasons": record.reasons,
        "claims": dossier.judgements,
        "exit_code": exit_code(record, dossier.judgements),
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
