"""Turns a report into one HTML page that needs nothing else: no script, no request, no file."""

import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from monitor.contract.verdicts import ClaimVerdict
from reports.dossier import Dossier
from reports.exhibits import Exhibit, Plot, Table
from reports.render_markdown import MEANING, load_offered, summary
from reports.tables.claims import claim_row
from reports.wording import plural, quantity

_INLINE = MarkdownIt("commonmark", {"html": False})
_PAGE = Environment(
    loader=PackageLoader("reports", "templates"), autoescape=True, undefined=StrictUndefined
)
_SIGN = {ClaimVerdict.TRUE: "✓", ClaimVerdict.FALSE: "✗", ClaimVerdict.UNPROVEN: "?"}


def render_page(
    dossier: Dossier, made: Sequence[tuple[Exhibit, Table | Plot]], pictures: Path
) -> str:
    """Return the page; `pictures` is the folder with each figure's SVG.

    Raises:
        OSError: a figure's SVG cannot be read.
    """
    sections = [
        {
            "title": str(section),
            "parts": [_part(exhibit, one, pictures) for exhibit, one in members],
        }
        for section, members in groupby(made, key=lambda pair: pair[0].section)
        if str(section) != "Claims"
    ]
    record = dossier.record
    return _PAGE.get_template("report.html").render(
        record=record,
        summary=summary(dossier.judgements),
        meaning=MEANING[record.verdict],
        offered=load_offered(record.parameters),
        repeats=plural(len(record.repeats), "repeat"),
        claims=[_claim(dossier, number) for number in range(len(dossier.judgements))],
        sections=sections,
    )


def _claim(dossier: Dossier, number: int) -> dict[str, str]:
    judgement = dossier.judgements[number]
    label, claimed, measured, _ = claim_row(judgement, dossier.record.metrics)
    margin = ""
    if judgement.margin is not None and judgement.measured is not None:
        margin = quantity(judgement.margin, judgement.measured.unit)
    return {
        "label": label,
        "claimed": claimed,
        "measured": measured,
        "margin": margin,
        "verdict": judgement.verdict,
        "sign": _SIGN[judgement.verdict],
        "reason": judgement.reason,
        "sentence": judgement.claim.sentence,
    }


def _part(exhibit: Exhibit, one: Table | Plot, pictures: Path) -> dict[str, object]:
    if isinstance(one, Plot):
        svg = (pictures / f"{exhibit.name}.svg").read_text(encoding="utf-8")
        return {
            "kind": "figure",
            "name": exhibit.name,
            "title": one.title,
            "alt": one.alt,
            "svg": Markup(_inlined(svg, exhibit.name)),  # noqa: S704 - drawn here
        }
    return {
        "kind": "table",
        "name": exhibit.name,
        "header": [_text(cell) for cell in one.header],
        "rows": [[_text(cell) for cell in row] for row in one.rows],
        "numeric": one.numeric,
        "notes": [_text(note) for note in one.notes],
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
