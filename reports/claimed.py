"""Reads what a hand-written table, check list or bullet claims, as claims that can be judged.

What a row is about is told by its words, its bound by the first number with its sign and unit.
A row nobody here can measure becomes a claim that says so, never one that is left out.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from monitor.contract.claims import Claim, Comparison

_NUMBER = re.compile(
    r"(?P<sign><=|>=|<|>|≤|≥|~|≈|under|below|less than|at most|up to|over|above|more than"
    r"|at least)?"
    r"\s*(?P<number>\d{1,3}(?:[,_\u202f ]\d{3})+(?!\d)|\d+(?:\.\d+)?)\s*(?P<kilo>[kK](?![A-Za-z]))?"
    r"(?P<plus>\+)?\s*(?P<unit>[µμ]?[A-Za-z]+)?",
    re.IGNORECASE,
)
_SIGNS: dict[str, Comparison] = {
    **dict.fromkeys(("<", "under", "below", "less than"), "<"),
    **dict.fromkeys(("<=", "≤", "at most", "up to", "~", "≈"), "<="),
    **dict.fromkeys((">", "over", "above", "more than"), ">"),
    **dict.fromkeys((">=", "≥", "at least"), ">="),
}
_TIMES_US = {"ns": 1e-3, "us": 1.0, "µs": 1.0, "μs": 1.0, "ms": 1e3, "s": 1e6, "sec": 1e6}
_BYTES = {
    "b": 1.0,
    "kb": 1e3,
    "mb": 1e6,
    "gb": 1e9,
    "kib": 2.0**10,
    "mib": 2.0**20,
    "gib": 2.0**30,
}
_CLAIMED = re.compile(r"\(claimed (?P<claimed>.*)\)")


@dataclass(frozen=True, slots=True)
class Amount:
    """A number as someone wrote it: its sign, if any, its value, and its unit in small letters."""

    comparison: Comparison | None
    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class _Kind:
    """One thing a table can claim: how its label is told, and the metric that decides it."""

    id: str
    words: str
    metric: str
    comparison: Comparison
    unit: str
    scales: dict[str, float] | None
    requires: tuple[str, ...]
    of_load: bool = True


_WHOLE = ("target_deaths == 0", "deliveries_lost == 0", "deliveries_thinned == 0")
_EXACT = (*_WHOLE, "deliveries_duplicated == 0", "deliveries_reordered == 0")


def _latency(name: str, words: str) -> _Kind:
    key = {"average-latency": "mean"}.get(name, name.removesuffix("-latency"))
    metric = f"response_{key.replace('.', '')}_us"
    return _Kind(name, words, metric, "<", "us", _TIMES_US, _WHOLE)


#: In this order: the first whose words are in a label takes it.
_KINDS = (
    _Kind(
        "events-per-second",
        r"(?:events?|messages?|updates?)\s*(?:/|per|a|each)\s*s(?:ec(?:ond)?)?\b|throughput",
        "events_per_s",
        ">=",
        "events/s",
        None,
        _EXACT,
    ),
    _latency("p99.99-latency", r"p99\.99|99\.99"),
    _latency("p99.9-latency", r"p99\.9|99\.9"),
    _latency("p99-latency", r"p99|99th|99 ?%"),
    _latency("p90-latency", r"p90|90th|90 ?%"),
    _latency("p50-latency", r"p50|median"),
    _latency("max-latency", r"max\w* (?:latency|delay)|worst.* (?:latency|delay)"),
    _latency("average-latency", r"latency|delay|response time"),
    _Kind(
        "memory",
        r"memory|\brss\b|\bram\b",
        "target_rss_peak_bytes",
        "<",
        "bytes",
        _BYTES,
        ("target_deaths == 0", "clients_refused == 0"),
    ),
    _Kind(
        "concurrent-clients",
        r"clients?|connections?|subscribers?|users?",
        "clients_held",
        ">=",
        "clients",
        None,
        ("target_deaths == 0",),
        of_load=False,
    ),
)

#: What a check list's item is about, and the claim whose checks carry it.
_SECURITY = (
    (
        "validated-on-every-message",
        r"(?:every|each|per)[ -]message|revalidat|on (?:all|any) messages?",
    ),
    ("rate-limiting-holds", r"rate[ -]?limit|denial|\bdos\b|flood|throttl"),
    ("nothing-sensitive-in-events", r"sensitive|secret|leak|personal|credential|\bpii\b"),
    ("idle-connections-close", r"idle|time[ -]?out|inactiv|stale"),
    (
        "unauthorized-rejected",
        r"unauthori[sz]ed|unauthenticated|authenticat|reject|without a token",
    ),
)

#: What a bullet promises: claim, words, and the metric that decides it with its unit, or the
#: checks that carry it.
_LIMITS: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    (
        "requests-per-minute",
        r"\d.*\brequests?\b.*(?:minute|\bmin\b|60 ?s)|requests? (?:per|a) minute.*\d",
        "requests_in_window_max",
        "requests",
        (),
    ),
    (
        "connections-per-address",
        r"\d.*\bconnections?\b.*\b(?:ip|address|client|host)|connections? per .*\d",
        "connections_at_once_max",
        "connections",
        (),
    ),
    (
        "stale-connections-removed",
        r"(?:stale|idle|dead|inactive)\b.*\b(?:remov|clos|clean|drop|disconnect|time)",
        "",
        "",
        ("CN3", "CN4", "ID1", "ID2"),
    ),
)
_BACK_OFF = re.compile(
    r"(?:back-?off|reconnect|retry|retries).*\d|\b1 ?s\b.*\b30 ?s", re.IGNORECASE
)


def parse_amount(text: str) -> Amount | None:
    """Return the first number of a text with its sign and unit, or None."""
    match = _NUMBER.search(text)
    if match is None:
        return None
    value = float(re.sub(r"[,_\u202f ]", "", match["number"])) * (1000 if match["kilo"] else 1)
    sign = " ".join((match["sign"] or "").lower().split())
    comparison = ">=" if match["plus"] else _SIGNS.get(sign)
    return Amount(comparison, value, (match["unit"] or "").lower())


def table_claims(rows: Iterable[tuple[str, str]], section: str) -> tuple[Claim, ...]:
    """Return one claim a row (label and claimed value, as written) of a metric table.

    The load a row's sentence speaks of is that of the table's own clients and rate.
    """
    read = [(label, _as_claimed(cell)) for label, cell in rows]
    kinds = [(_kind(label), label, claimed, parse_amount(claimed)) for label, claimed in read]
    given = tuple(
        f"{offered} >= {amount.value:g}"
        for kind, _, _, amount in kinds
        if kind is not None and amount is not None
        for offered in _OFFERED.get(kind.id, ())
    )
    taken: set[str] = set()
    return tuple(
        _row(kind, label, claimed, amount, given, section, taken)
        for kind, label, claimed, amount in kinds
    )


def checklist_claims(items: Iterable[str], section: str) -> tuple[Claim, ...]:
    """Return one claim an item of a check list (its text, without sign and number)."""
    taken: set[str] = set()
    found = []
    for text in items:
        about = _first(_SECURITY, text, taken)
        identity = _unique(about or _slug(text), taken)
        why = "" if about else "no check of ours is known to carry it"
        checks = (about,) if about else ()
        found.append(
            Claim(
                id=identity,
                label=text,
                claimed="always",
                sentence=text,
                group="security",
                section=section,
                checks=checks,
                unmeasured=why,
            )
        )
    return tuple(found)


def limit_claims(bullets: Iterable[tuple[str, str]]) -> tuple[Claim, ...]:
    """Return the claims of those bullets (text and section) that promise a limit we can judge."""
    found: dict[str, Claim] = {}
    for text, section in bullets:
        for identity, words, metric, unit, checks in _LIMITS:
            if identity not in found and re.search(words, text, re.IGNORECASE):
                claim = Claim(
                    id=identity,
                    label=text,
                    claimed=_number_of(text),
                    sentence=text,
                    group="limits",
                    section=section,
                    checks=checks,
                )
                found[identity] = _limit(claim, metric, unit) if metric else claim
                break
        else:
            if "back-off" not in found and _BACK_OFF.search(text) and re.search(r"\b30 ?s", text):
                found["back-off"] = Claim(
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
    return tuple(found.values())


def _limit(claim: Claim, metric: str, unit: str) -> Claim:
    amount = parse_amount(claim.label)
    assert amount is not None  # noqa: S101 - the words that told it have a digit
    return msgspec.structs.replace(
        claim,
        scenario="limit-flood",
        metric=metric,
        comparison="<=",
        bound=amount.value,
        unit=unit,
        requires=("target_deaths == 0",),
        given=("strangers_refused >= 1",),
    )


def is_metric(label: str) -> bool:
    """Tell whether a row of that label is one we can measure."""
    return _kind(label) is not None


_OFFERED = {
    "concurrent-clients": ("clients_offered",),
    "events-per-second": ("events_offered_per_s",),
}


def _row(
    kind: _Kind | None,
    label: str,
    claimed: str,
    amount: Amount | None,
    given: tuple[str, ...],
    section: str,
    taken: set[str],
) -> Claim:
    bound = None if kind is None or amount is None else _bound(kind, amount)
    open_claim = Claim(
        id=_unique(_slug(label) if kind is None or bound is None else kind.id, taken),
        label=label,
        claimed=claimed,
        sentence=label,
        section=section,
    )
    if kind is None or amount is None or bound is None:
        why = "no metric of ours is known to decide it"
        if kind is not None:
            why = f"{claimed!r} is no bound in {kind.unit}"
        return msgspec.structs.replace(open_claim, unmeasured=why)
    own = tuple(f"{offered} >= {bound:g}" for offered in _OFFERED.get(kind.id, ()))
    return msgspec.structs.replace(
        open_claim,
        scenario="chapter",
        metric=kind.metric,
        comparison=amount.comparison or kind.comparison,
        bound=bound,
        unit=kind.unit,
        requires=kind.requires,
        given=given if kind.of_load else own,
    )


def _bound(kind: _Kind, amount: Amount) -> float | None:
    """Return the amount in the metric's unit, None if its own unit is not one of them."""
    if kind.scales is None:
        return amount.value
    scale = kind.scales.get(amount.unit)
    return None if scale is None else amount.value * scale


def _kind(label: str) -> _Kind | None:
    return next((kind for kind in _KINDS if re.search(kind.words, label, re.IGNORECASE)), None)


def _first(table: Iterable[tuple[str, str]], text: str, taken: set[str]) -> str | None:
    found = (name for name, words in table if re.search(words, text, re.IGNORECASE))
    return next((name for name in found if name not in taken), None)


def _as_claimed(cell: str) -> str:
    """Return what a cell claims: of `0.9 ms (claimed <5ms)`, `<5ms`."""
    match = _CLAIMED.search(cell)
    return match["claimed"] if match else cell


def _number_of(text: str) -> str:
    amount = parse_amount(text)
    return "as promised" if amount is None else f"{amount.value:,g}"


def _slug(text: str) -> str:
    return "-".join(re.findall(r"[a-z0-9]+", text.lower())[:6]) or "claim"


def _unique(identity: str, taken: set[str]) -> str:
    name, number = identity, 1
    while name in taken:
        number += 1
        name = f"{identity}-{number}"
    taken.add(name)
    return name
