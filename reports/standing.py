"""How the claims stand: each judged anew from the newest run that speaks of its scenario."""

from collections.abc import Iterable, Sequence

import msgspec

from monitor.contract.claims import Claim, Judgement, judge
from monitor.contract.evidence import Run, RunRecord
from monitor.contract.verdicts import ClaimVerdict, ExitCode
from reports.exhibits import Table
from reports.tables.claims import claim_row, reasons


class Standing(msgspec.Struct, frozen=True):
    """One claim's judgement and the run it rests on; None where there is no such run."""

    judgement: Judgement
    run: RunRecord | None


def standings(
    claims: Sequence[Claim], target: str | None, newest_first: Iterable[Run]
) -> tuple[Standing, ...]:
    """Judge each claim from the newest run of its scenario, against `target` if one is named.

    The newest run decides whatever it says: an older one that pleases more is not looked for.
    """
    wanted = {claim.scenario for claim in claims}
    newest: dict[str, RunRecord] = {}
    runs = iter(newest_first)
    while wanted - newest.keys() and (run := next(runs, None)) is not None:
        if target is None or run.record.target == target:
            newest.setdefault(run.record.scenario, run.record)
    return tuple(_stand(claim, newest.get(claim.scenario)) for claim in claims)


def conclusion(judgements: Iterable[Judgement]) -> ExitCode:
    """Return what a command ends with: a FALSE claim outweighs all, no evidence is no success."""
    verdicts = {judgement.verdict for judgement in judgements}
    if ClaimVerdict.FALSE in verdicts:
        return ExitCode.BROKEN
    return ExitCode.HOLDS if verdicts == {ClaimVerdict.TRUE} else ExitCode.NO_VERDICT


def standings_table(found: Sequence[Standing]) -> Table:
    """Return the claims table with the run each row rests on."""
    rows = tuple(
        (
            *claim_row(one.judgement, one.run.metrics if one.run else {}),
            f"`{one.run.id}`" if one.run else "no run",
        )
        for one in found
    )
    header = ("Metric", "Claimed", "Measured", "", "Evidence")
    return Table(header, rows, notes=reasons([one.judgement for one in found]))


def _stand(claim: Claim, record: RunRecord | None) -> Standing:
    if record is None:
        reason = f"no run of scenario {claim.scenario}; make one with `wsproof load`"
        return Standing(Judgement(claim, ClaimVerdict.UNPROVEN, reason), None)
    return Standing(judge(claim, record.metrics, record.verdict), record)
