"""The claims table: what is claimed, what was measured, and whether it is true."""

from collections.abc import Callable, Iterable, Mapping

import msgspec

from monitor.contract.claims import Judgement
from monitor.contract.evidence import Metric
from monitor.contract.verdicts import ClaimVerdict, RunVerdict
from reports.dossier import Dossier
from reports.exhibits import Section, Table, table
from reports.wording import COUNTS, measured, plural, quantity

#: A rate this close to the offered one was limited by the offer: schedules round to whole events.
_HELD_FROM = 0.995


@table(Section.CLAIMS)
def claims(dossier: Dossier) -> Table | None:
    """Return the claims judged from this run; None if it is evidence for none."""
    if not dossier.judgements:
        return None
    rows = tuple(claim_row(one, dossier.record.metrics) for one in dossier.judgements)
    notes = [*reasons(dossier.judgements)]
    if dossier.record.verdict is not RunVerdict.VALID:
        notes += [f"The run is {dossier.record.verdict}: {why}." for why in dossier.record.reasons]
    return Table(("Metric", "Claimed", "Measured", ""), rows, notes=(*notes, *_legend(dossier)))


def claim_row(judgement: Judgement, metrics: Mapping[str, Metric]) -> tuple[str, str, str, str]:
    """Return one claim's row: its label, what is claimed, what was measured, the verdict."""
    claim = judgement.claim
    return claim.label, claim.claimed, _measured(judgement, metrics), f"**{judgement.verdict}**"


def short_figure(judgement: Judgement, metrics: Mapping[str, Metric]) -> str:
    """Return the figure alone, without interval and company: `0.726 ms`, `50 held`."""
    figure, claim = judgement.measured, judgement.claim
    if figure is None or claim.checks:
        return _measured(judgement, metrics)
    if claim.metric == "response_mean_us":
        return quantity(figure.value, figure.unit, claim.bound)
    alone = msgspec.structs.replace(figure, interval=None)
    told = _measured(msgspec.structs.replace(judgement, measured=alone), metrics)
    return told.removesuffix(" (maximum not probed)")


def reasons(judgements: Iterable[Judgement]) -> tuple[str, ...]:
    """Say why each claim that is not TRUE is not; claims that share a reason share the line."""
    labels: dict[tuple[ClaimVerdict, str], list[str]] = {}
    for one in judgements:
        if one.verdict is not ClaimVerdict.TRUE:
            labels.setdefault((one.verdict, one.reason), []).append(one.claim.label)
    return tuple(
        f"**{verdict}** {', '.join(sharing)}: {reason}."
        for (verdict, reason), sharing in labels.items()
    )


def _legend(dossier: Dossier) -> tuple[str, ...]:
    spread = [one.measured for one in dossier.judgements if _spreads(one.measured)]
    if not spread or spread[0] is None:
        return ()
    return (f"[a–b] is a 95 % interval over {plural(len(spread[0].repeats), 'repeat')}.",)


def _spreads(metric: Metric | None) -> bool:
    interval = metric.interval if metric else None
    return interval is not None and interval[0] != interval[1]


def _measured(judgement: Judgement, metrics: Mapping[str, Metric]) -> str:
    figure, claim = judgement.measured, judgement.claim
    if figure is None:
        return "not measured"
    if claim.checks:
        return _checks(judgement)
    tell = _TELL.get(claim.metric)
    if tell is not None:
        return tell(figure, metrics, claim.bound)
    return _figure(figure, claim.bound)


def _checks(judgement: Judgement) -> str:
    """Return `12 of 12 checks pass`; the number of them is the bound that was compared with."""
    assert judgement.measured is not None  # noqa: S101 - the caller looked
    passed = judgement.measured.value
    if judgement.margin is None:
        return f"{plural(passed, 'check')} {'passes' if passed == 1 else 'pass'}"
    checks = passed - judgement.margin
    return f"{passed:.0f} of {plural(checks, 'check')} {'passes' if checks == 1 else 'pass'}"


def _figure(figure: Metric, bound: float) -> str:
    """Return the figure with its interval, told apart from the bound it was compared with."""
    plain, apart = quantity(figure.value, figure.unit), quantity(figure.value, figure.unit, bound)
    return measured(figure) if plain == apart else measured(figure).replace(plain, apart, 1)


def _held(offered_name: str) -> Callable[[Metric, Mapping[str, Metric], float], str]:
    """Return a wording for a figure that cannot exceed what was offered: held, not a maximum."""

    def tell(figure: Metric, metrics: Mapping[str, Metric], bound: float) -> str:
        offered = metrics.get(offered_name)
        if offered is None:
            return f"{_figure(figure, bound)} seen"
        if figure.value < offered.value * (1 if figure.unit in COUNTS else _HELD_FROM):
            return f"{_figure(figure, bound)} of {quantity(offered.value, offered.unit)} offered"
        unprobed = " (maximum not probed)" if figure.unit in COUNTS else ""
        return f"{_figure(figure, bound)} held{unprobed}"

    return tell


def _latency(figure: Metric, metrics: Mapping[str, Metric], bound: float) -> str:
    beside = [
        f"{label} {quantity(other.value, other.unit)}"
        for label, name in _BESIDE_MEAN
        if (other := metrics.get(name)) is not None
    ]
    return _figure(figure, bound) + (f" ({', '.join(beside)})" if beside else "")


def _peak_rss(figure: Metric, _metrics: Mapping[str, Metric], bound: float) -> str:
    return f"{_figure(figure, bound)} peak RSS"


_BESIDE_MEAN = (
    ("p50", "response_p50_us"),
    ("p99", "response_p99_us"),
    ("p99.9", "response_p999_us"),
    ("max", "response_max_us"),
)

#: How a metric is told where its bare figure would mislead; any other is told as it is.
_TELL: Mapping[str, Callable[[Metric, Mapping[str, Metric], float], str]] = {
    "clients_held": _held("clients_offered"),
    "events_per_s": _held("events_offered_per_s"),
    "response_mean_us": _latency,
    "target_rss_peak_bytes": _peak_rss,
}
