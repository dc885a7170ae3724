"""How the claims stand: each judged anew from the newest run that is evidence for it."""

from collections.abc import Sequence

import msgspec

from monitor.contract.claims import Claim, Judgement, judge
from monitor.contract.evidence import Run, RunRecord
from monitor.contract.verdicts import ClaimVerdict, RunVerdict
from reports.checks import check_metrics, comparable, is_evidence, why_not
from reports.exhibits import Table
from reports.runs import Evidence
from reports.tables.claims import claim_row, reasons


class Standing(msgspec.Struct, frozen=True):
    """One claim's judgement and the run it rests on; None where there is no such run."""

    judgement: Judgement
    run: RunRecord | None


def standings(
    claims: Sequence[Claim], target: str | None, evidence: Evidence
) -> tuple[Standing, ...]:
    """Judge each claim from the newest run that can decide it, of `target` if one is named.

    The newest run decides whatever it says: an older one that pleases more is not looked for.
    """
    return tuple(_stand(claim, _evidence(claim, target, evidence)) for claim in claims)


def judge_from(claim: Claim, run: Run) -> Judgement:
    """Judge a claim from a run that is evidence for it: by its metric, or by its checks."""
    record = run.record
    if not claim.checks:
        return judge(claim, record.metrics, record.verdict)
    metrics = check_metrics(claim, run)
    found = judge(comparable(claim, metrics), metrics, record.verdict)
    reason = found.reason
    if found.verdict is not ClaimVerdict.TRUE and record.verdict is not RunVerdict.INVALID:
        reason = why_not(claim, run)
    return msgspec.structs.replace(found, claim=claim, reason=reason)


def judge_all(claims: Sequence[Claim], run: Run) -> tuple[Judgement, ...]:
    """Judge the claims this run is evidence for, in their order."""
    return tuple(judge_from(claim, run) for claim in claims if speaks_of(claim, run.record))


def speaks_of(claim: Claim, record: RunRecord) -> bool:
    """Tell whether a run is evidence for a claim, either way."""
    if claim.checks:
        return is_evidence(claim, record)
    return bool(claim.metric) and record.scenario == claim.scenario


def standings_table(found: Sequence[Standing], host: str | None = None) -> Table:
    """Return the claims table with the run each row rests on.

    With `host`, this machine's hashed name, evidence from another machine is marked.
    """
    rows = tuple(
        (
            *claim_row(one.judgement, one.run.metrics if one.run else {}),
            _rests_on(one.run, host),
        )
        for one in found
    )
    header = ("Metric", "Claimed", "Measured", "", "Evidence")
    return Table(header, rows, notes=reasons([one.judgement for one in found]))


def _rests_on(run: RunRecord | None, host: str | None) -> str:
    if run is None:
        return "no run"
    elsewhere = host is not None and run.provenance.host != host
    return f"`{run.id}`" + (" (another machine)" if elsewhere else "")


def _evidence(claim: Claim, target: str | None, evidence: Evidence) -> Run | None:
    if claim.unmeasured:
        return None
    return evidence.newest(
        lambda record: target in {None, record.target} and speaks_of(claim, record)
    )


def _stand(claim: Claim, run: Run | None) -> Standing:
    if run is not None:
        return Standing(judge_from(claim, run), run.record)
    return Standing(Judgement(claim, ClaimVerdict.UNPROVEN, _without(claim)), None)


def _without(claim: Claim) -> str:
    if claim.unmeasured:
        return f"nothing measures it: {claim.unmeasured}"
    if claim.checks:
        real_time = " --real-time" if claim.real_time else ""
        return f"no audit; make one with `wsproof audit{real_time}`"
    if claim.scenario == "protocol":
        return "no run of scenario protocol; make one with `make chapter`"
    return f"no run of scenario {claim.scenario}; make one with `wsproof load {claim.scenario}`"
