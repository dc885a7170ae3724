"""Where a document's pictures stand, and how its text shows them."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from monitor.contract.evidence import RunRecord
from monitor.contract.verdicts import UsageError
from reports.exhibits import Plot
from reports.regions import Region

_IMAGE = re.compile(r"!\[[^\]]*\]\(\s*(?:<(?P<angled>[^>\n]*)>|(?P<plain>[^)\s]+))[^)]*\)")
_FORMATS = {".png", ".svg"}


@dataclass(frozen=True, slots=True)
class Link:
    """An image link: as it is spelled in the document, and the path it means beside it."""

    spelled: str
    path: Path


@dataclass(frozen=True, slots=True)
class Picture:
    """One figure of a document: where its file stands, what it shows, and its fingerprint."""

    path: Path
    plot: Plot
    record: RunRecord
    mark: str


def destination(region: Region, source: str) -> Link:
    """Return where the region's image link points; `images/NAME.png` where there is none yet.

    Raises:
        UsageError: it points to another host, to an absolute path, or to no PNG or SVG.
    """
    match = _IMAGE.search(region.body)
    spelled = f"images/{region.name}.png" if match is None else match["angled"] or match["plain"]
    parts = urlsplit(spelled)
    path = Path(unquote(parts.path))
    if parts.scheme or parts.netloc or path.is_absolute() or path.suffix.lower() not in _FORMATS:
        raise UsageError(
            f"{source}: line {region.line}: image {spelled!r}: expected a path relative to the"
            " document that ends in .png or .svg"
        )
    return Link(spelled, path)


def image_text(plot: Plot, link: Link) -> str:
    """Return the Markdown that shows a plot: the image with its words, and its answer below."""
    spelled = f"<{link.spelled}>" if " " in link.spelled else link.spelled
    alt = plot.alt.replace("[", "(").replace("]", ")").replace("\n", " ")
    return f"![{alt}]({spelled})\n\n*{plot.title}.*\n"
