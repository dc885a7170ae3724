"""Turns a report into one HTML page that needs nothing else: no script, no request, no file."""

import re
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from monitor.contract.verdicts import ClaimVerdict
from reports.account import Account, Shown
from reports.exhibits import Plot, Section
from reports.render_markdown import MEANING, commands, drawn_from, load_offered, summary
from reports.standing import Standing
from reports.tables.claims import claim_row
from reports.wording import plural, quantity

_INLINE = MarkdownIt("commonmark", {"html": False})
_PAGE = Environment(
    loader=PackageLoader("reports", "templates"), autoescape=True, undefined=StrictUndefined
)
_SIGN = {ClaimVerdict.TRUE: "✓", ClaimVerdict.FALSE: "✗", ClaimVerdict.UNPROVEN: "?"}


def render_page(account: Account, pictures: Path) -> str:
    """Return the page; `pictures` is the folder with each figure's SVG.

    Raises:
        OSError: a figure's SVG cannot be read.
    """
    sections = [
        {"title": str(section), "parts": [_part(one, pictures) for one in members]}
        for section, members in groupby(account.shown, key=lambda one: one.section)
        if section is not Section.CLAIMS
    ]
    several = len(account.records) > 1
    record = account.records[0]
    measured = (
        f"Measured {record.provenance.started_at}, {plural(len(record.repeats), 'repeat')}:"
        f" {load_offered(record.parameters)}."
    )
    return _PAGE.get_template("report.html").render(
        subject=account.subject,
        summary=summary(account.judgements),
        record=None if several else record,
        meaning=MEANING[record.verdict],
        measured=_text(f"{drawn_from(account.records)}.") if several else measured,
        groups=_groups(account, named=several),
        sections=sections,
        commands=commands(account),
        again=account.again,
    )


def _groups(account: Account, *, named: bool) -> list[dict[str, object]]:
    """Return the claims' cards, by the table or list they belong to."""
    grouped = groupby(account.standings, key=lambda one: one.judgement.claim.group)
    return [
        {"title": name.capitalize(), "claims": [_claim(one, named=named) for one in members]}
        for name, members in grouped
    ]


def _claim(standing: Standing, *, named: bool) -> dict[str, str]:
    """Return one claim's card; `named` adds the run it rests on."""
    judgement, run = standing.judgement, standing.run
    label, claimed, measured, _ = claim_row(judgement, run.metrics if run else {})
    margin = ""
    figure = None if judgement.claim.checks else judgement.measured  # checks have no margin
    if judgement.margin is not None and figure is not None:
        margin = quantity(judgement.margin, figure.unit)
    return {
        "label": label,
        "claimed": claimed,
        "measured": measured,
        "margin": margin,
        "verdict": judgement.verdict,
        "sign": _SIGN[judgement.verdict],
        "reason": "" if judgement.verdict is ClaimVerdict.TRUE else judgement.reason,
        "run": run.id if run and named else "",
    }


def _part(one: Shown, pictures: Path) -> dict[str, object]:
    if isinstance(one.thing, Plot):
        svg = (pictures / f"{one.name}.svg").read_text(encoding="utf-8")
        return {
            "kind": "figure",
            "name": one.name,
            "title": one.thing.title,
            "alt": one.thing.alt,
            "svg": Markup(_inlined(svg, one.name)),  # noqa: S704 - drawn here
        }
    return {
        "kind": "table",
        "name": one.name,
        "header": [_text(cell) for cell in one.thing.header],
        "rows": [[_text(cell) for cell in row] for row in one.thing.rows],
        "numeric": one.thing.numeric,
        "notes": [_text(note) for note in one.thing.notes],
    }


def _text(markdown: str) -> Markup:
    """Return inline Markdown as HTML; whatever is HTML in it is shown, not obeyed."""
    return Markup(_INLINE.renderInline(markdown))  # noqa: S704 - html is off in the parser


def _inlined(svg: str, name: str) -> str:
    """Return the drawing alone, its ids made its own so that several can stand on one page."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'(<svg\b[^>]*?) width="[^"]*"', r"\1", body, count=1)
    body = re.sub(r'(<svg\b[^>]*?) height="[^"]*"', r"\1", body, count=1)
    body = body.replace('id="', f'id="{name}-').replace("url(#", f"url(#{name}-")
    return body.replace('href="#', f'href="#{name}-')
