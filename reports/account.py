"""What a report tells, before it is Markdown or HTML: claims, exhibits, and the runs behind them.

`of_run` accounts for one run, `of_evidence` for the newest run of everything there is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from monitor.contract.claims import Claim, Judgement
from monitor.contract.evidence import Run, RunRecord
from monitor.contract.verdicts import NoVerdictError
from reports.dossier import open_dossier
from reports.exhibits import Exhibit, Plot, Section, Table, exhibits
from reports.runs import Evidence
from reports.sources import Sources
from reports.standing import Standing, judge_all, standings, standings_table
from reports.tables.conditions import conditions_of, runs_table

#: Tables of one run that a report over several replaces by its own.
_OF_ONE_RUN = frozenset({"claims", "conditions"})


@dataclass(frozen=True, slots=True)
class Shown:
    """One exhibit of a report, and the run it was made from; None for a table over all runs."""

    name: str
    section: Section
    thing: Table | Plot
    record: RunRecord | None


@dataclass(frozen=True, slots=True)
class Account:
    """A report's content: its subject, how the claims stand, what is shown, from which runs.

    `again` is the command that makes the same report from the same evidence.
    """

    subject: str
    again: str
    standings: tuple[Standing, ...]
    shown: tuple[Shown, ...]
    records: tuple[RunRecord, ...]

    @property
    def judgements(self) -> tuple[Judgement, ...]:
        """The claims' judgements, in the claims' order."""
        return tuple(one.judgement for one in self.standings)


def of_run(run: Run, claims: Sequence[Claim]) -> Account:
    """Account for one run: the claims it is evidence for and every exhibit it can fill."""
    record = run.record
    dossier = open_dossier(run, judge_all(claims, run))
    made = ((exhibit, exhibit.make(dossier)) for exhibit in exhibits())
    return Account(
        subject=f"{record.target}, scenario {record.scenario}",
        again=f"wsproof report build {record.id}",
        standings=tuple(Standing(judgement, record) for judgement in dossier.judgements),
        shown=tuple(_shown(exhibit, thing, record) for exhibit, thing in made if thing is not None),
        records=(record,),
    )


def of_evidence(
    claims: Sequence[Claim], target: str | None, evidence: Evidence, host: str | None = None
) -> Account:
    """Account for all there is: each claim and exhibit from the newest run that can decide it.

    With `host`, this machine's hashed name, evidence from another machine is marked.

    Raises:
        NoVerdictError: a run on the way cannot be believed, or none is of the target.
    """
    view = evidence.view()
    found = standings(claims, target, view)
    sources = Sources(claims, target, view)
    shown: list[Shown] = []
    for exhibit in exhibits():
        dossier = None if exhibit.name in _OF_ONE_RUN else sources.dossier(exhibit.source)
        thing = None if dossier is None else exhibit.make(dossier)
        if dossier is not None and thing is not None:
            shown.append(_shown(exhibit, thing, dossier.record))
    records = tuple(run.record for _, run in sorted(view.used.items()))
    if not records:
        raise NoVerdictError(
            f"no run of {target or 'any service'} yet; measure first, for example with"
            " `wsproof load chapter` or `wsproof audit`"
        )
    over_all = (
        ("claims", Section.CLAIMS, standings_table(found, host)),
        ("runs", Section.PROVENANCE, runs_table(records, host)),
        ("conditions", Section.PROVENANCE, conditions_of(records)),
    )
    shown += [Shown(name, section, table, None) for name, section, table in over_all if table.rows]
    order = list(Section)
    return Account(
        subject=target or records[-1].target,
        again="wsproof report build",
        standings=found,
        shown=tuple(sorted(shown, key=lambda one: order.index(one.section))),
        records=records,
    )


def _shown(exhibit: Exhibit, thing: Table | Plot, record: RunRecord) -> Shown:
    return Shown(exhibit.name, exhibit.section, thing, record)
