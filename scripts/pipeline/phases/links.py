"""Checks that every relative link and anchor leads somewhere. Asks no network."""

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from scripts.pipeline.build import Build, Progress
from scripts.pipeline.documents import Document, PipelineError

_SHOWN = 5
_TARGETS = {"link_open": "href", "image": "src"}


@dataclass(frozen=True, slots=True)
class LinkReport:
    """How many links were followed, and which lead off this machine and were not."""

    followed: int
    external: tuple[str, ...]


def links(build: Build, progress: Progress) -> LinkReport:
    """Follow every link that stays within the project.

    Raises:
        PipelineError: one leads to a file or an anchor that is not there, or out of the project.
    """
    every = [
        (document, line, target)
        for document in build.documents
        for line, target in targets(document)
    ]
    progress.expect(len(every))
    anchors = {
        document.name: {heading.anchor for heading in document.headings}
        for document in build.documents
    }
    broken: list[str] = []
    external: list[str] = []
    for document, line, target in every:
        if _is_external(target):
            external.append(target)
        elif fault := _fault(build, anchors, document.name, target):
            broken.append(f"{document.name}:{line}: {target}: {fault}")
        progress.step(f"{document.name}:{line}: {target}")
    if broken:
        more = f"; and {len(broken) - _SHOWN} more" if len(broken) > _SHOWN else ""
        raise PipelineError(f"{len(broken)} broken links: {'; '.join(broken[:_SHOWN])}{more}")
    return LinkReport(len(every) - len(external), tuple(external))


def targets(document: Document) -> Iterator[tuple[int, str]]:
    """Yield each link's and image's target, with the line its block begins at, from 1."""
    for token in document.tokens:
        line = (token.map or [0])[0] + 1
        for child in token.children or ():
            attribute = _TARGETS.get(child.type)
            if attribute is not None:
                yield line, str(child.attrs[attribute])


def _is_external(target: str) -> bool:
    parts = urlsplit(target)
    return bool(parts.scheme or parts.netloc)


def _fault(build: Build, anchors: dict[str, set[str]], document: str, target: str) -> str | None:
    """Return what is wrong with a link, or None."""
    parts = urlsplit(target)
    name = document
    if parts.path:
        name = posixpath.normpath(posixpath.join(posixpath.dirname(document), unquote(parts.path)))
        if name.startswith(("/", "..")):
            return "leads out of the project; link relative to this file"
        if not (build.root / name).exists():
            return "no such file"
    fragment = unquote(parts.fragment)
    if fragment and name in anchors and fragment not in anchors[name]:
        return f"{name} has no heading with that anchor"
    return None
