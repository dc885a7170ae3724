"""Draws a plot into files: PNG and SVG for readers, CSV for whoever wants to check or redraw it.

The same plot gives the same bytes: no date, no version, no random ids in any of them. Each picture
carries a fingerprint of what it shows and of the code that draws it, so that it can be told from a
stale one without comparing pixels.
"""

import csv
import hashlib
import io
from collections.abc import Callable
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from monitor.contract.evidence import RunRecord
from monitor.contract.verdicts import RunVerdict
from reports import style, tiles
from reports.exhibits import Plot
from reports.style import headline, new_figure, styled

_DPI = 200

#: Where a PNG keeps its fingerprint; an SVG has it as its Dublin Core identifier.
_PNG_KEY = "Fingerprint"

SUFFIXES = (".png", ".svg", ".csv")


def render_figure(plot: Plot, record: RunRecord, folder: Path, name: str, mark: str = "") -> None:
    """Write `name`.png, .svg and .csv into `folder`, each picture naming its run and target.

    `mark` is the fingerprint it is to carry.
    """
    with styled():
        figure = new_figure(plot.height_in)
        FigureCanvasAgg(figure)
        headline(figure, plot.title, _subtitle(record), warn=record.verdict is not RunVerdict.VALID)
        plot.draw(figure)
        named = {"Identifier": mark} if mark else {}
        figure.savefig(
            folder / f"{name}.svg", metadata={"Date": None, "Title": plot.title, **named}
        )
        marked = {_PNG_KEY: mark} if mark else {}
        figure.savefig(folder / f"{name}.png", dpi=_DPI, metadata={"Software": None, **marked})
    (folder / f"{name}.csv").write_bytes(_csv(plot))


def fingerprint(plot: Plot, record: RunRecord, code: Path) -> str:
    """Return a SHA-256 over the plotted values, the words, and the source that draws them."""
    spec = (plot.title, plot.alt, _subtitle(record), f"{plot.height_in:g}")
    parts = ["\0".join(spec).encode(), _csv(plot)]
    parts += [path.read_bytes() for path in (code, Path(style.__file__), Path(tiles.__file__))]
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part).digest())
    return whole.hexdigest()


def stale_pictures(folder: Path, name: str, plot: Plot, mark: str) -> tuple[str, ...]:
    """Return the files of a figure that are missing or do not show what they should."""
    shows: dict[str, Callable[[Path], bool]] = {
        ".png": lambda path: _png_mark(path) == mark,
        ".svg": lambda path: mark in path.read_text(encoding="utf-8"),
        ".csv": lambda path: path.read_bytes() == _csv(plot),
    }
    paths = {suffix: folder / f"{name}{suffix}" for suffix in SUFFIXES}
    return tuple(
        path.name for suffix, path in paths.items() if not (path.is_file() and shows[suffix](path))
    )


def _png_mark(path: Path) -> str | None:
    try:
        with Image.open(path) as picture:
            found = picture.info.get(_PNG_KEY)
    except OSError:  # not a picture: as stale as can be
        return None
    return found if isinstance(found, str) else None


def _csv(plot: Plot) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(plot.columns)
    writer.writerows(plot.rows)
    return text.getvalue().encode()


def _subtitle(record: RunRecord) -> str:
    reservation = "" if record.verdict is RunVerdict.VALID else f"{record.verdict} RUN · "
    # Where it takes two lines, an id does not part from its word.
    parts = (record.target, f"scenario\u00a0{record.scenario}", f"run\u00a0{record.id}")
    return reservation + " · ".join(parts)
