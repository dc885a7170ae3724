"""Writes claims into a claims file, beside what stands there already."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from monitor.contract.claims import Claim, fault, load_claims
from monitor.contract.verdicts import UsageError

_ALWAYS = ("id", "label", "claimed", "sentence")


def with_claims(
    path: Path, claims: Sequence[Claim], document: str
) -> tuple[str, tuple[Claim, ...]]:
    """Return the claims file with these claims added, as text and as all its claims.

    Those that are there stay as they are.

    `document` is the path from the file to the document that makes the claims.

    Raises:
        UsageError: the file is faulty, or has another bound for one of the claims, or a claim to
            add is one that no claims file may have.
    """
    known = {claim.id: claim for claim in load_claims(path)} if path.is_file() else {}
    for claim in claims:
        there = known.get(claim.id)
        if there is not None and _decides(there) != _decides(claim):
            raise UsageError(
                f"claims {path}: claim {claim.id!r} says {there.claimed!r}, the document"
                f" {claim.claimed!r}; make them agree, then adopt again"
            )
    before = path.read_text(encoding="utf-8") if path.is_file() else _opening(document)
    added = [claim for claim in claims if claim.id not in known]
    for claim in added:
        _refuse_faulty(claim, document)
    text = "\n".join([before.rstrip("\n") + "\n", *map(_toml, added)])
    return text, (*known.values(), *added)


def _opening(document: str) -> str:
    return (
        "# What the document claims, and what decides each claim. Bounds stand here and nowhere\n"
        f"# else.\nformat = 1\ndocument = {_value(document)}\n"
    )


def _refuse_faulty(claim: Claim, document: str) -> None:
    texts = (claim.label, claim.claimed, claim.section)
    why = "expected UTF-8" if any(map(_is_broken, texts)) else fault(claim)
    if why is not None:
        raise UsageError(
            f"{document}: under {claim.section!r}: the row or item with the text {claim.label!r}"
            f" and the value {claim.claimed!r} cannot become a claim: {why}; mend it in the"
            " document, then adopt again"
        )


def _is_broken(text: str) -> bool:
    """Tell whether a text has bytes that are no UTF-8, which a document keeps as surrogates."""
    return any("\ud800" <= letter <= "\udfff" for letter in text)


def _decides(claim: Claim) -> tuple[object, ...]:
    return claim.metric, claim.comparison, claim.bound, claim.unit, claim.checks


def _toml(claim: Claim) -> str:
    lines = ["[[claim]]"]
    for field in msgspec.structs.fields(Claim):
        value = getattr(claim, field.name)
        measured = claim.metric and field.name in {"comparison", "bound", "unit"}
        if field.name in _ALWAYS or measured or value != field.default:
            lines.append(f"{field.name} = {_value(value)}")
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    """Return a value as TOML; a JSON string is a TOML basic string, but for DEL."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.0f}" if value == round(value) else repr(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
