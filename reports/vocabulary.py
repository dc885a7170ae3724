"""The words in which chapters claim things, and what decides each: patterns, metrics, checks.

Nothing here judges or reads a document. Patterns are narrow on purpose: a sentence that is not
understood becomes a claim nobody can measure, one that is misunderstood would be proven by
evidence about something else.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from monitor.contract.claims import Comparison

_TIMES_US: Mapping[str, float] = {
    "ns": 1e-3,
    **dict.fromkeys(("us", "µs", "μs", "microseconds"), 1.0),
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 1e3),
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1e6),
}
_BYTES: Mapping[str, float] = {
    "b": 1.0,
    "kb": 1e3,
    **dict.fromkeys(("mb", "megabytes"), 1e6),
    **dict.fromkeys(("gb", "gigabytes"), 1e9),
    "kib": 2.0**10,
    "mib": 2.0**20,
    "gib": 2.0**30,
}
_CLIENTS: Mapping[str, float] = dict.fromkeys(
    ("", "client", "clients", "connections", "subscribers", "users", "concurrent", "simultaneous"),
    1.0,
)
_EVENTS: Mapping[str, float] = dict.fromkeys(
    ("", "eps", "event", "events", "evt", "message", "messages", "msg", "msgs", "updates"), 1.0
)
_A_SECOND = frozenset({"", "s", "sec", "second"})
_EACH_DELIVERY = frozenset({"", "event", "message", "delivery"})

_NEVER = r"(?!)"

_WHOLE = ("target_deaths == 0", "deliveries_lost == 0", "deliveries_thinned == 0")
_EXACT = (*_WHOLE, "deliveries_duplicated == 0", "deliveries_reordered == 0")


@dataclass(frozen=True, slots=True)
class Kind:
    """One thing a table's row can claim: how its label is told, and the metric that decides it.

    A label with `words` is of this kind, unless it has `unless`, or its claimed value has
    `unless_claimed`: then it speaks of something else. `units` are the factors from a unit as
    written to the metric's own, `per` what the amount may be said to be "per". `offered` are the
    figures that say the load was as great as claimed.
    """

    id: str
    words: str
    metric: str
    comparison: Comparison
    unit: str
    units: Mapping[str, float]
    requires: tuple[str, ...]
    unless: str = _NEVER
    unless_claimed: str = _NEVER
    per: frozenset[str] = frozenset({""})
    of_load: bool = True
    offered: tuple[str, ...] = ()


_OTHER_WAITS = (
    r"connect|handshak|auth|login|start|shut ?down|recover|fail-?over|jitter|deviation|variance"
    r"|\bmin(?:imum)?\b|quer|database|http|page"
)
_OTHER_STATISTICS = r"\bp\d|\d ?(?:th|st|nd|rd)\b|percentile|\d ?%|tail|\b99\."
_OF_LATENCY = r"latency|delay|response"
#: Messages that are no deliveries of events, and rates that are no whole.
_OTHER_RATES = (
    r"lost|(?<!without )\bloss\b|drop|fail|error|refus|reject|duplicat|\blate\b|\bthin"
    r"|\bper (?!s(?:ec(?:ond)?)?\b)|disk|http|database"
)


def _latency(name: str, metric: str, words: str, other: str = _NEVER) -> Kind:
    return Kind(
        id=name,
        words=words,
        metric=f"response_{metric}_us",
        comparison="<",
        unit="us",
        units=_TIMES_US,
        requires=_WHOLE,
        unless=f"{_OTHER_WAITS}|{other}",
        unless_claimed=other,
        per=_EACH_DELIVERY,
    )


def _percentile(name: str, metric: str, words: str) -> Kind:
    """Return the kind of a percentile: of latency, or of nothing else by its label."""
    alone = rf"(?:\W|th\b|percentile|{words})+$"
    return _latency(name, metric, rf"^(?=.*(?:{words}))(?:.*(?:{_OF_LATENCY})|{alone})")


#: In this order: the first whose words are in a label takes it.
KINDS = (
    Kind(
        id="events-per-second",
        words=(
            r"(?:events?|messages?|updates?)\s*(?:/|per|a|each)\s*s(?:ec(?:ond)?)?\b|throughput"
        ),
        metric="events_per_s",
        comparison=">=",
        unit="events/s",
        units=_EVENTS,
        requires=_EXACT,
        unless=_OTHER_RATES,
        per=_A_SECOND,
        offered=("events_offered_per_s",),
    ),
    _percentile("p99.99-latency", "p9999", r"(?:\bp|\b)99\.990*(?!\d)"),
    _percentile("p99.9-latency", "p999", r"(?:\bp|\b)99\.90*(?!\d)"),
    _percentile("p99-latency", "p99", r"\bp99\b(?!\.\d)|(?<![\w.])99 ?(?:th|%)"),
    _percentile("p90-latency", "p90", r"\bp90\b(?!\.\d)|(?<![\w.])90 ?(?:th|%)"),
    _percentile("p50-latency", "p50", r"\bp50\b(?!\.\d)|(?<![\w.])50th|median"),
    _latency(
        "max-latency",
        "max",
        r"(?:max\w*|worst\S*|peak) (?:\w+ )?(?:latency|delay)",
        _OTHER_STATISTICS,
    ),
    _latency("average-latency", "mean", r"latency|delay|response time", _OTHER_STATISTICS),
    Kind(
        id="memory",
        words=r"memory|\brss\b|\bram\b",
        metric="target_rss_peak_bytes",
        comparison="<",
        unit="bytes",
        units=_BYTES,
        requires=("target_deaths == 0", "clients_refused == 0"),
        unless=r"\bper\b|/|each|growth|increase|delta|leak|swap|disk|\bidle\b|at rest|generator",
    ),
    Kind(
        id="concurrent-clients",
        words=r"\b(?:clients?|connections?|subscribers?|users?)\b",
        metric="clients_held",
        comparison=">=",
        unit="clients",
        units=_CLIENTS,
        requires=("target_deaths == 0",),
        unless=(
            r"\bper\b|/|each|\btime|timeout|\brate\b|limit|cpu|duration|life|idle|stale|dead|set-?up"
            r"|lost|drop|fail|refus|reject|publish"
        ),
        of_load=False,
        offered=("clients_offered",),
    ),
)

#: What a check list's item is about: the claim whose checks carry it, and its words.
SECURITY = (
    (
        "validated-on-every-message",
        (
            r"(?:tokens?|jwts?|auth\w*|credential\w*)\b.*"
            r"\b(?:every|each|per|all)[ -](?:single )?message|revalidat"
        ),
    ),
    (
        "rate-limiting-holds",
        (
            r"rate[ -]?limit\w*\b.*\b(?:prevent|protect|stop|hold|enforce|block|denial|d?dos)"
            r"|\b(?:denial of service|d?dos)\b|flood|throttl"
        ),
    ),
    (
        "nothing-sensitive-in-events",
        (
            r"\b(?:sensitive|secrets?|personal|private|credentials?|pii)\b.*\b(?:events?|messages?"
            r"|streams?|broadcasts?|payloads?)|\b(?:no|never|without)\b.*\b(?:sensitive|pii)\b"
            r"|\b(?:data|secrets?|tokens?|information) leak"
        ),
    ),
    (
        "idle-connections-close",
        (
            r"\b(?:idle|inactive|stale)\b.*\b(?:time|clos|disconnect|remov|drop|clean|end)"
            r"|connections? time[ -]?out"
        ),
    ),
    (
        "unauthorized-rejected",
        (
            r"unauthori[sz]ed|unauthenticated|without (?:a |any )?(?:valid )?tokens?\b"
            r"|authentication (?:is )?(?:required|enforced)"
            r"|(?:invalid|bad|wrong|forged) (?:tokens?|credentials) (?:are |is )?(?:reject|refus)"
        ),
    ),
)

#: Before a noun: some of what it counts, not all.
_SOME = (
    r"\b(?:fail(?:ed|ing)|rejected|refused|invalid|log-?in|sign-?in|(?:un)?auth\w*)"
    r"[ -](?:[\w-]+ )?"
)

_ONE = r"(?:(?:one|each|every|any|a|an|single|client|source|remote) )*"
_ADDRESS = rf"(?:/|per|from|by) ?{_ONE}(?:ip|address|host|client)\b"


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit a bullet can promise: its words, the noun its number counts, what decides it.

    A text that has `unless` limits something else. Decided by a metric of the flood (`metric`,
    `unit`) or by `checks`.
    """

    id: str
    words: str
    counted: str = ""
    metric: str = ""
    unit: str = ""
    checks: tuple[str, ...] = ()
    unless: str = _NEVER


LIMITS = (
    Limit(
        id="requests-per-minute",
        words=(
            r"\brequests?\b.*(?:(?:/|per|a|each|any|every) ?(?:minute|min)\b|\b60 ?s)"
            r"|rate limit.*\d ?/ ?min"
        ),
        counted=r"requests?",
        metric="requests_in_window_max",
        unit="requests",
        unless=rf"{_SOME}(?:requests?|rate[ -]?limit)",
    ),
    Limit(
        id="connections-per-address",
        words=(
            rf"\bconnections?\b.*{_ADDRESS}|{_ADDRESS}.*\bconnections?\b"
            r"|\b(?:one|each|every|an|a single) (?:ip|address)\b.*\bconnections?\b"
        ),
        counted=r"connections?",
        metric="connections_at_once_max",
        unit="connections",
        unless=rf"{_SOME}connections?",
    ),
    Limit(
        id="stale-connections-removed",
        words=r"(?:stale|idle|dead|inactive)\b.*\b(?:remov|clos|clean|drop|disconnect|time)",
        checks=("CN3", "CN4", "ID1", "ID2"),
    ),
)

#: A schedule of delays before connecting again, and the seconds that ours has.
BACK_OFF = r"back-?off|reconnect|retry|retries|\b1 ?s\b.*\b30 ?s"
BACK_OFF_S = frozenset({1, 2, 4, 8, 16, 30})
