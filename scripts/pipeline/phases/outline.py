"""Reads every source and notes the tree of its headings."""

from typing import Any

from scripts.pipeline.build import Build, Progress
from scripts.pipeline.documents import Heading, read, size


def outline(build: Build, progress: Progress) -> dict[str, Any]:
    """Read and parse the sources; return each one's headings as a tree.

    Raises:
        PipelineError: a source cannot be read or is not UTF-8.
    """
    sizes = {path: size(build.root, path) for path in build.sources}
    progress.expect(sum(sizes.values()))
    trees: dict[str, Any] = {}
    for path, expected in sizes.items():
        document = read(build.root, path)
        build.documents.append(document)
        trees[document.name] = tree(document.headings)
        counted = 0
        for heading in document.headings:
            reached = _bytes_before(document.text, heading.line, expected)
            progress.step(f"{document.name}: {heading.text}", reached - counted)
            counted = reached
        progress.step(document.name, expected - counted)
    return trees


def tree(headings: tuple[Heading, ...]) -> list[dict[str, Any]]:
    """Nest headings under the nearest one before them of a lower level."""
    roots: list[dict[str, Any]] = []
    path: list[tuple[int, list[dict[str, Any]]]] = [(0, roots)]
    for heading in headings:
        while path[-1][0] >= heading.level:
            path.pop()
        node = {"text": heading.text, "anchor": heading.anchor, "line": heading.line, "below": []}
        path[-1][1].append(node)
        path.append((heading.level, node["below"]))  # type: ignore[arg-type]
    return roots


def _bytes_before(text: str, line: int, at_most: int) -> int:
    before = "\n".join(text.split("\n", line - 1)[: line - 1])
    return min(len(before.encode()), at_most)
