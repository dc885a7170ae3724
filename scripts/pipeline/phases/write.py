"""Turns each document into an HTML page that needs nothing from the network."""

import html
import posixpath
from collections.abc import Sequence
from string import Template
from typing import Any
from urllib.parse import urlsplit

from markdown_it.token import Token

from scripts.pipeline.build import Build, Progress
from scripts.pipeline.documents import MARKDOWN, Document, blocks

_PAGE = Template("""\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>$title</title>
<style>
body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.5 system-ui, sans-serif }
pre { overflow-x: auto; padding: .75rem; background: #8881 }
td, th { padding: .2rem .6rem; border: 1px solid #8886; text-align: left }
table { border-collapse: collapse }
</style>
<main>
$body</main>
</html>
""")


def write(build: Build, progress: Progress) -> dict[str, str]:
    """Write one page a document; return which page each document became.

    Links between documents lead to their pages, and headings have their anchors.
    """
    progress.expect(sum(1 for document in build.documents for _ in blocks(document.tokens)))
    names = {document.name for document in build.documents}
    written: dict[str, str] = {}
    for document in build.documents:
        body = "".join(
            _block(document, block, names, progress) for block in blocks(document.tokens)
        )
        page = _PAGE.substitute(title=html.escape(document.title), body=body)
        path = build.replace(page_name(document.name), page.encode(), progress.phase)
        build.pages.append(path)
        written[document.name] = build.label(path)
    return written


def page_name(document: str) -> str:
    """Return the page a document becomes: `docs/a.md` → `docs/a.html`."""
    return posixpath.splitext(document)[0] + ".html"


def _block(document: Document, block: Sequence[Token], names: set[str], progress: Progress) -> str:
    line = (block[0].map or [0])[0] + 1
    ready = [_adapted(token, document, names) for token in block]
    text: Any = MARKDOWN.renderer.render(ready, MARKDOWN.options, {})
    progress.step(f"{document.name}:{line}: {block[0].type.removesuffix('_open')}")
    return str(text)


def _adapted(token: Token, document: Document, names: set[str]) -> Token:
    """Return the token with anchors on headings and links that lead to pages."""
    if token.type == "heading_open":
        line = (token.map or [0])[0] + 1
        anchor = next(h.anchor for h in document.headings if h.line == line)
        return token.copy(attrs={**token.attrs, "id": anchor})
    if token.type == "link_open":
        target = to_page(str(token.attrs["href"]), document.name, names)
        return token.copy(attrs={**token.attrs, "href": target})
    if token.children:
        return token.copy(children=[_adapted(child, document, names) for child in token.children])
    return token


def to_page(href: str, document: str, names: set[str]) -> str:
    """Return where a document's link leads once its target is a page; others stay as they are."""
    parts = urlsplit(href)
    if parts.scheme or parts.netloc or not parts.path:
        return href
    target = posixpath.normpath(posixpath.join(posixpath.dirname(document), parts.path))
    if target not in names:
        return href
    return parts._replace(path=page_name(parts.path)).geturl()
