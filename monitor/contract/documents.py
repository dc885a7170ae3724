"""Reads TOML documents into frozen structs, with errors a person can act on.

Every document of ours (profile, claims, settings) is decoded here, so that an unknown key, a
wrong type and a syntax error read the same everywhere: file, key, expected, found, suggestion.
"""

import difflib
import re
import tomllib
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from monitor.contract.verdicts import UsageError

Document = TypeVar("Document")

_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(?P<field>[^`]*)`")
_NO_CHOICE = re.compile(r"Invalid enum value (?P<value>'[^']*'|\S+)$")
_DATE_WANTED = re.compile(r"^(Invalid RFC3339 encoded date|Expected `date`, got `\w+`)$")
_DATE = "Expected a day as TOML writes it, without quotes, such as 2027-01-31"

#: Whose values are not repeated: they may be secrets.
_SECRET = re.compile(r"token|secret|key|signing|password", re.IGNORECASE)
_SHOWN_CHARS = 40

_AT_PATH = re.compile(r" - at (?:`key` in )?`\$\.?(?P<path>[^`]*)`$")


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """Return the TOML table in `path`; `what` names the document in errors ("target profile").

    Raises:
        UsageError: the file is missing, unreadable, not UTF-8, or not TOML (with the line).
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))  # editors leave a mark there
    except FileNotFoundError:
        raise UsageError(f"{what} {path}: no such file; check the path") from None
    except OSError as error:
        raise UsageError(f"{what} {path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{what} {path}: not UTF-8: byte {error.object[error.start]:#04x} at {error.start};"
            " save it as UTF-8"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{what} {path}: not valid TOML: {error}") from error


def convert(table: dict[str, Any], into: type[Document], source: str) -> Document:
    """Convert a decoded table into the struct type `into`; `source` names it in errors.

    Raises:
        UsageError: names the key, what was expected and what came; for an unknown key, the
            closest known one.
    """
    try:
        return msgspec.convert(table, into)
    except msgspec.ValidationError as error:
        raise UsageError(f"{source}: {_explain(str(error), into, table)}") from error


def _explain(message: str, into: type, table: dict[str, Any]) -> str:
    located = _AT_PATH.search(message)
    path = located["path"] if located else ""
    said = _AT_PATH.sub("", message)
    unknown = _UNKNOWN_FIELD.search(said)
    if unknown is None:
        choices = _choices(said, into, path)
        said = _DATE_WANTED.sub(_DATE, said) + (choices or _came(table, path))
        return f"key `{path}`: {said}" if path else said
    key = f"{path}.{unknown['field']}" if path else unknown["field"]
    known = _known_fields(into, path)
    return f"unknown key `{key}`; {_nearest(unknown['field'], known)}"


def _nearest(given: str, known: list[str]) -> str:
    close = difflib.get_close_matches(given, known, n=1)
    return f"did you mean `{close[0]}`?" if close else f"known here: {', '.join(sorted(known))}"


def _choices(said: str, into: type, path: str) -> str:
    """Return what would have been right where a word is none of those expected."""
    wrong = _NO_CHOICE.search(said)
    words = _words_in(_annotation_at(into, path)) if wrong else []
    return f"; {_nearest(wrong['value'].strip(chr(39)), words)}" if wrong and words else ""


def _came(table: dict[str, Any], path: str) -> str:
    """Return what stands at `path`, if it is one short value that cannot be a secret."""
    here: Any = table
    for step in filter(None, re.split(r"\.|\[([^\]]*)\]", path)):
        if isinstance(here, list) and step.isdigit():
            here = here[int(step)]
        elif isinstance(here, dict) and step in here:
            here = here[step]
        else:
            return ""
    if not path or isinstance(here, dict | list) or _SECRET.search(path):
        return ""
    shown = repr(here) if isinstance(here, str) else str(here)
    return f"; it says {shown}" if len(shown) <= _SHOWN_CHARS else ""


def _annotation_at(into: type, path: str) -> Any:
    """Return the annotation that `path` (dotted, with [i] and [...] steps) leads to."""
    here: Any = into
    for step in filter(None, re.split(r"\.|\[[^\]]*\]", path)):
        struct = _struct_in(here)
        here = None if struct is None else get_type_hints(struct).get(step)
    return here


def _words_in(annotation: Any) -> list[str]:
    """Return the words of every Literal inside an annotation, not looking into structs."""
    if get_origin(annotation) is Literal:
        return [word for word in get_args(annotation) if isinstance(word, str)]
    return [word for part in get_args(annotation) for word in _words_in(part)]


def _known_fields(into: type, path: str) -> list[str]:
    """Return the field names of the struct that `path` leads to."""
    here = _struct_in(_annotation_at(into, path))
    return [] if here is None else [field.encode_name for field in msgspec.structs.fields(here)]


def _struct_in(annotation: Any) -> Any:
    """Return the first msgspec struct named anywhere inside a type annotation, or None."""
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return annotation
    return next(filter(None, map(_struct_in, get_args(annotation))), None)
