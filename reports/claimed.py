"""Reads what a hand-written table, check list or bullet claims, as claims that can be judged.

What a row is about is told by its words, its bound by the first number with its sign and unit.
A row nobody here can measure becomes a claim that says so, never one that is left out.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from monitor.contract.claims import Claim, Comparison
from reports.vocabulary import BACK_OFF, BACK_OFF_S, KINDS, LIMITS, SECURITY, Kind

_NUMBER = re.compile(
    r"(?P<sign><=|>=|<|>|≤|≥|~|≈|under|below|less than|at most|up to|over|above|more than"
    r"|at least)?"
    r"\s*(?<![\w.])(?P<number>\d{1,3}(?:[,_\u00a0\u202f ]\d{3})+(?!\d)|\d+(?:\.\d+)?)"
    r"\s*(?P<kilo>[kK](?![A-Za-z]))?(?P<plus>\+)?"
    r"\s*(?P<unit>(?!per\b)[µμ]?[A-Za-z]+)?\s*(?:(?:/|per\b)\s*(?P<per>[A-Za-z]+))?",
    re.IGNORECASE,
)
_SIGNS: dict[str, Comparison] = {
    **dict.fromkeys(("<", "under", "below", "less than"), "<"),
    **dict.fromkeys(("<=", "≤", "at most"), "<="),
    **dict.fromkeys((">", "over", "above", "more than"), ">"),
    **dict.fromkeys((">=", "≥", "at least"), ">="),
}
_DURATION = r"\b\d+ ?(?:s|sec|seconds?|m|min|minutes?|h|hours?)\b"
_SECONDS = re.compile(r"\b(\d+) ?s(?:ec(?:ond)?s?)?\b", re.IGNORECASE)
_CLAIMED = re.compile(r"\(claimed (?P<claimed>.*)\)")


@dataclass(frozen=True, slots=True)
class Amount:
    """A number as someone wrote it: its sign, if any, its value, and its unit in small letters.

    Of `1,000 events/s` the unit is `events`, and `per` is `s`.
    """

    comparison: Comparison | None
    value: float
    unit: str
    per: str = ""


def parse_amount(text: str) -> Amount | None:
    """Return the first number of a text with its sign and unit, or None."""
    match = _NUMBER.search(text)
    if match is None:
        return None
    value = float(re.sub(r"[,_\u00a0\u202f ]", "", match["number"])) * (
        1000 if match["kilo"] else 1
    )
    sign = " ".join((match["sign"] or "").lower().split())
    comparison = ">=" if match["plus"] else _SIGNS.get(sign)
    unit, per = ((match[name] or "").lower() for name in ("unit", "per"))
    return Amount(comparison, value, unit, per)


def table_claims(rows: Iterable[tuple[str, str]], section: str) -> tuple[Claim, ...]:
    """Return one claim a row (label and claimed value, as written) of a metric table.

    The load a row's sentence speaks of is that of the table's own clients and rate.
    """
    read = [_Row(label, _as_claimed(cell)) for label, cell in rows]
    given = tuple(
        _at_least(offered, row.bound)
        for row in read
        if row.kind is not None and row.bound is not None
        for offered in row.kind.offered
    )
    taken: set[str] = set()
    return tuple(_claim(row, given, section, taken) for row in read)


def checklist_claims(items: Iterable[str], section: str) -> tuple[Claim, ...]:
    """Return one claim an item of a check list (its text, without sign and number).

    An item with a duration needs checks at the promised durations.
    """
    taken: set[str] = set()
    found = []
    for text in items:
        about = next(
            (name for name, words in SECURITY if name not in taken and _has(words, text)), None
        )
        claim = Claim(
            id=_unique(about or _slug(text), taken),
            label=text,
            claimed="always",
            sentence=text,
            group="security",
            section=section,
        )
        found.append(
            msgspec.structs.replace(claim, checks=(about,), real_time=_has(_DURATION, text))
            if about
            else msgspec.structs.replace(claim, unmeasured="no check of ours is known to carry it")
        )
    return tuple(found)


def limit_claims(bullets: Iterable[tuple[str, str]]) -> tuple[Claim, ...]:
    """Return the claims of those bullets (text and section) that promise a limit we can judge."""
    found: dict[str, Claim] = {}
    for text, section in bullets:
        claim = _limit(text, section) or _back_off(text, section)
        if claim is not None:
            found.setdefault(claim.id, claim)
    return tuple(found.values())


def is_metric(label: str) -> bool:
    """Tell whether a row of that label is one we can measure."""
    return _kind(label) is not None


class _Row:
    """One row of a metric table: what it says, the kind of thing, and the bound in its unit."""

    def __init__(self, label: str, claimed: str) -> None:
        self.label, self.claimed = label, claimed
        self.amount = parse_amount(claimed)
        self.kind = _kind(label, claimed)
        self.bound = self._bound()

    def _bound(self) -> float | None:
        """Return the amount in the metric's unit, None if it is no bound on it."""
        kind, amount = self.kind, self.amount
        if kind is None or amount is None or amount.per not in kind.per:
            return None
        against = amount.comparison is not None and amount.comparison[0] != kind.comparison[0]
        empty = kind.comparison[0] == ">" and not amount.value  # no figure is below zero
        scale = kind.units.get(amount.unit)
        return None if scale is None or against or empty else amount.value * scale


def _claim(row: _Row, given: tuple[str, ...], section: str, taken: set[str]) -> Claim:
    kind, amount = row.kind, row.amount
    told = kind is not None and row.bound is not None
    claim = Claim(
        id=_unique(kind.id if kind is not None and told else _slug(row.label), taken),
        label=row.label,
        claimed=row.claimed,
        sentence=row.label,
        section=section,
    )
    if kind is None:
        return msgspec.structs.replace(claim, unmeasured="no metric of ours is known to decide it")
    if amount is None or row.bound is None:
        side = "lower" if kind.comparison[0] == ">" else "upper"
        why = f"{row.claimed!r} is no {side} bound in {kind.unit}"
        return msgspec.structs.replace(claim, unmeasured=why)
    own = tuple(_at_least(offered, row.bound) for offered in kind.offered)
    return msgspec.structs.replace(
        claim,
        scenario="chapter",
        metric=kind.metric,
        comparison=amount.comparison or kind.comparison,
        bound=row.bound,
        unit=kind.unit,
        requires=kind.requires,
        given=given if kind.of_load else own,
    )


def _at_least(metric: str, bound: float) -> str:
    """Return a condition with all the bound's digits: one in thousands of thousands as well."""
    return f"{metric} >= {bound:.15g}"


def _kind(label: str, claimed: str = "") -> Kind | None:
    found = (one for one in KINDS if _has(one.words, label) and not _has(one.unless, label))
    return next((one for one in found if not _has(one.unless_claimed, claimed)), None)


def _limit(text: str, section: str) -> Claim | None:
    limit = next((one for one in LIMITS if _has(one.words, text)), None)
    if limit is None or _has(limit.unless, text):
        return None
    claim = Claim(
        id=limit.id,
        label=text,
        claimed=_number_of(text),
        sentence=text,
        group="limits",
        section=section,
    )
    if limit.checks:
        return msgspec.structs.replace(claim, checks=limit.checks, real_time=_has(_DURATION, text))
    bound = _counted(text, limit.counted)
    if bound is None:
        return None
    return msgspec.structs.replace(
        claim,
        claimed=f"{bound:,g}",
        scenario="limit-flood",
        metric=limit.metric,
        comparison="<=",
        bound=bound,
        unit=limit.unit,
        requires=("target_deaths == 0",),
        given=("strangers_refused >= 1",),
    )


def _back_off(text: str, section: str) -> Claim | None:
    """Return a claim on the back-off, if each delay a text names is one of the schedule's."""
    named = {int(seconds) for seconds in _SECONDS.findall(text)}
    if not _has(BACK_OFF, text) or max(BACK_OFF_S) not in named or not named <= BACK_OFF_S:
        return None
    return Claim(
        id="back-off",
        label=text,
        claimed="1 s doubling to 30 s",
        sentence=text,
        group="reconnecting",
        section=section,
        scenario="protocol",
        metric="reconnect_delays_on_schedule",
        comparison=">=",
        bound=6,
        unit="delays",
    )


def _counted(text: str, noun: str) -> float | None:
    """Return the number of a noun in a text: `100 requests`, `10 concurrent connections`.

    Where none stands before it, the last number of the text: `requests per minute: 100`.
    """
    before = re.search(rf"(\d[\d,]*) (?:[\w-]+ ){{0,2}}{noun}\b", text, re.IGNORECASE)
    numbers = re.findall(r"(?<![\w.])\d[\d,]*(?![\w.%])", text)
    named = before[1] if before else numbers[-1] if numbers else ""
    return float(named.replace(",", "")) if named.strip(",") else None


def _has(words: str, text: str) -> bool:
    return re.search(words, text, re.IGNORECASE) is not None


def _as_claimed(cell: str) -> str:
    """Return what a cell claims: of `0.9 ms (claimed <5ms)`, `<5ms`."""
    match = _CLAIMED.search(cell)
    return match["claimed"] if match else cell


def _number_of(text: str) -> str:
    amount = parse_amount(text)
    return "as promised" if amount is None else f"{amount.value:,g} {amount.unit}".strip()


def _slug(text: str) -> str:
    return "-".join(re.findall(r"[a-z0-9]+", text.lower())[:6]) or "claim"


def _unique(identity: str, taken: set[str]) -> str:
    name, number = identity, 1
    while name in taken:
        number += 1
        name = f"{identity}-{number}"
    taken.add(name)
    return name
