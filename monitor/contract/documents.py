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

_MISSING_FIELD = re.compile(r"Object missing required field `(?P<field>[^`]*)`")
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(?P<field>[^`]*)`")
_NO_CHOICE = re.compile(r"Invalid enum value (?P<value>'[^']*'|\S+)$")
_DATE_WANTED = re.compile(r"^(Invalid RFC3339 encoded date|Expected `date`, got `\w+`)$")
_DATE = "Expected a day as TOML writes it, without quotes, such as 2027-01-31"

#: What is wrong where TOML cannot be read, and how it is written.
_WRITTEN = {
    "Invalid date": "a day is written 2027-01-31",
    "Invalid value": "a text stands in quotes",
}
_AT_LINE = re.compile(r"\(at line (?P<line>\d+), column \d+\)")
_KEY = re.compile(r"\s*(?P<key>[\w.\"'-]+)\s*=")

#: Whose values are not repeated: they may be secrets.
_SECRET = re.compile(r"token|secret|key|signing|password", re.IGNORECASE)
_SHOWN_CHARS = 40

_AT_PATH = re.compile(r" - at (?:`key` in )?`\$\.?(?P<path>[^`]*)`$")


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """Return the TOML table in `path`; `what` names the document in errors ("target profile").

    Raises:
        UsageError: the file is missing, unreadable, not UTF-8, or not TOML (with the line).
    """
    text = ""
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors leave a mark there
        return tomllib.loads(text)
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
        raise UsageError(f"{what} {path}: not valid TOML: {_misread(str(error), text)}") from error


def _misread(message: str, text: str) -> str:
    """Return why TOML cannot be read, with the key of that line and how it would be right."""
    at = _AT_LINE.search(message)
    lines = text.splitlines()[int(at["line"]) - 1 :] if at else []
    key = _KEY.match(lines[0]) if lines else None
    said = f"{message}, key `{key['key']}`" if key else message
    return said + "".join(f"; {how}" for what, how in _WRITTEN.items() if what in message)


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
    shown, came = _followed(table, into, path)
    missing, unknown = _MISSING_FIELD.search(said), _UNKNOWN_FIELD.search(said)
    if missing:
        required = ", ".join(sorted(_known_fields(into, path, required=True)))
        return f"key `{_under(shown, missing['field'])}`: missing; required here: {required}"
    if unknown:
        field = unknown["field"]
        hint = _nearest(field, _known_fields(into, path))
        if path and field in _known_fields(into, ""):
            hint = f"`{field}` belongs above the first [table]"
        return f"unknown key `{_under(shown, field)}`; {hint}"
    said = _DATE_WANTED.sub(_DATE, said).replace("`object`", "`table`").replace(" | null`", "`")
    if said == "Expected `array`, got `table`" and _struct_in(_annotation_at(into, path)):
        said += f"; write [[{shown}]]"
    said += _choices(said, into, path) or ("" if _SECRET.search(path) else came)
    return f"key `{shown}`: {said}" if shown else said


def _under(path: str, field: str) -> str:
    return f"{path}.{field}" if path else field


def _nearest(given: str, known: list[str]) -> str:
    close = difflib.get_close_matches(given, known, n=1)
    return f"did you mean `{close[0]}`?" if close else f"known here: {', '.join(sorted(known))}"


def _choices(said: str, into: type, path: str) -> str:
    """Return what would have been right where a word is none of those expected."""
    wrong = _NO_CHOICE.search(said)
    if wrong and (numbers := _numbers_in(_annotation_at(into, path))):
        return f"; expected {' or '.join(map(str, numbers))}"
    words = _words_in(_annotation_at(into, path)) if wrong else []
    return f"; {_nearest(wrong['value'].strip(chr(39)), words)}" if wrong and words else ""


def _followed(table: dict[str, Any], into: type, path: str) -> tuple[str, str]:
    """Return `path` with the names of what it leads through, and what stands there.

    Of a table of our own naming, [...], it is the first entry that is wrong. What is not one short
    value is not repeated.
    """
    here: Any = table
    shown = walked = ""
    for step in re.findall(r"\[[^\]]*\]|[^.\[\]]+", path):
        if step == "[...]":
            name = _first_wrong(here, _annotation_at(into, walked))
            if name is None:
                return path, ""
            here, shown = here[name], _under(shown, name)
        elif step.startswith("["):
            here, shown = here[int(step[1:-1])], shown + step
        else:
            here, shown = here[step], _under(shown, step)
        walked = walked + step if step.startswith("[") else _under(walked, step)
    if not path or isinstance(here, dict | list):
        return shown, ""
    value = str(here).lower() if isinstance(here, bool) else here
    value = repr(here) if isinstance(here, str) else str(value)
    return shown, f"; it says {value}" if len(value) <= _SHOWN_CHARS else ""


def _first_wrong(table: dict[str, Any], annotation: Any) -> str | None:
    """Return the name of the first entry that is not what a table's annotation says."""
    of_entries = get_args(annotation)[-1]
    for name, entry in table.items():
        try:
            msgspec.convert(entry, of_entries)
        except msgspec.ValidationError:
            return name
    return None


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


def _numbers_in(annotation: Any) -> list[int]:
    """Return the numbers of a Literal, where it is one."""
    choices = get_args(annotation) if get_origin(annotation) is Literal else ()
    return [choice for choice in choices if isinstance(choice, int)]


def _known_fields(into: type, path: str, *, required: bool = False) -> list[str]:
    """Return the names of the fields, or of those required, of the struct `path` leads to."""
    here = _struct_in(_annotation_at(into, path)) if path else into
    fields = () if here is None else msgspec.structs.fields(here)
    return [field.encode_name for field in fields if field.required or not required]


def _struct_in(annotation: Any) -> Any:
    """Return the first msgspec struct named anywhere inside a type annotation, or None."""
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return annotation
    return next(filter(None, map(_struct_in, get_args(annotation))), None)
