"""Everything a table or figure may draw on, read once from one run folder."""

from collections.abc import Sequence
from dataclasses import dataclass

from monitor.contract.claims import Claim, Judgement
from monitor.contract.evidence import Metric, Run, RunRecord
from reports.latency import Distribution, distribution
from reports.series import Rates, Resources, rates, resources


@dataclass(frozen=True, slots=True)
class Latency:
    """One latency's distributions: every repeat's, by number, and all of them merged."""

    merged: Distribution
    repeats: dict[int, Distribution]


@dataclass(frozen=True, slots=True)
class Dossier:
    """One run, judged and decoded. What the run did not record is None.

    `others` are runs of the same kind that stand beside it, where an exhibit asks for several.
    """

    run: Run
    record: RunRecord
    judgements: tuple[Judgement, ...]
    response: Latency | None
    service: Latency | None
    rates: Rates | None
    resources: Resources | None
    others: tuple[Run, ...] = ()

    def metric(self, name: str) -> Metric | None:
        """Return a figure of the run, or None if it could not be had."""
        return self.record.metrics.get(name)

    def claims_on(self, *prefixes: str) -> tuple[Claim, ...]:
        """Return the claims decided by a metric whose name begins with one of `prefixes`."""
        claims = (judgement.claim for judgement in self.judgements)
        return tuple(claim for claim in claims if claim.metric.startswith(prefixes))


def open_dossier(run: Run, judgements: Sequence[Judgement], others: Sequence[Run] = ()) -> Dossier:
    """Decode a run; `judgements` are those of the claims it is evidence for."""
    return Dossier(
        run=run,
        record=run.record,
        judgements=tuple(judgements),
        response=_latency(run, "response"),
        service=_latency(run, "service"),
        rates=rates(run),
        resources=resources(run),
        others=tuple(others),
    )


def _latency(run: Run, name: str) -> Latency | None:
    parts = [part for part in run.histograms() if part.name == name and part.repeat > 0]
    merged = distribution(parts)
    if merged is None:
        return None
    numbers = sorted({part.repeat for part in parts})
    found = {each: distribution(part for part in parts if part.repeat == each) for each in numbers}
    return Latency(merged, {number: one for number, one in found.items() if one is not None})
