"""Turns tables and figures into Markdown, and puts a report together."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from monitor.contract.claims import Judgement
from monitor.contract.evidence import RunRecord
from monitor.contract.tables import Scalar
from monitor.contract.verdicts import ClaimVerdict, RunVerdict
from reports.account import Account, Shown
from reports.exhibits import Table
from reports.wording import plural

MEANING = {
    RunVerdict.VALID: "the generator kept its schedule, so the figures below are the target's",
    RunVerdict.SUSPECT: "the figures below stand, with a doubt",
    RunVerdict.INVALID: "the figures below prove nothing, either way",
}


def render_table(table: Table) -> str:
    """Return a table as Markdown, its notes below it."""
    rule = tuple("---:" if column in table.numeric else "---" for column in range(_width(table)))
    rows = [table.header, rule, *table.rows]
    grid = "\n".join("| " + " | ".join(map(_cell, row)) + " |" for row in rows)
    return "\n\n".join([grid, *table.notes])


def render_report(account: Account) -> str:
    """Return the whole report: the verdict first, then section by section, then how to repeat."""
    parts = list(_opening(account))
    for section, members in groupby(account.shown, key=lambda one: one.section):
        parts.append(f"## {section}")
        parts += [_exhibit(one) for one in members]
    if not account.standings:
        parts.append(_without_claims(account.records[0]))
    return "\n\n".join([*parts, *_repeating(account)]) + "\n"


def summary(judgements: Sequence[Judgement]) -> str:
    """Return the claims' verdicts in one clause: `3 of 4 claims hold, 1 is FALSE`."""
    if not judgements:
        return "no claim was judged"
    count = {word: sum(one.verdict is word for one in judgements) for word in ClaimVerdict}
    held = count[ClaimVerdict.TRUE]
    first = f"{held} of {plural(len(judgements), 'claim')} {'holds' if held == 1 else 'hold'}"
    others = (
        f"{count[word]} {'is' if count[word] == 1 else 'are'} {word}"
        for word in (ClaimVerdict.FALSE, ClaimVerdict.UNPROVEN)
        if count[word]
    )
    return ", ".join([first, *others])


def load_offered(parameters: Mapping[str, Scalar]) -> str:
    """Return what the scenario was asked to do: `clients 50, rate_per_s 1100, …`."""
    return ", ".join(f"{name} {value}" for name, value in sorted(parameters.items()))


def _opening(account: Account) -> Iterator[str]:
    yield f"# {account.subject}: {summary(account.judgements)}"
    if len(account.records) > 1:
        yield f"{drawn_from(account.records)}."
        return
    record = account.records[0]
    yield (
        f"**The run is {record.verdict}**: {MEANING[record.verdict]}. Measured"
        f" {record.provenance.started_at}, {plural(len(record.repeats), 'repeat')}:"
        f" {load_offered(record.parameters)}."
    )
    if record.reasons:
        yield "\n".join(f"- {reason}" for reason in record.reasons)


def drawn_from(records: Sequence[RunRecord]) -> str:
    """Say from how many runs, of which days, and how many of them are not VALID."""
    days = sorted({record.provenance.started_at[:10] for record in records})
    told = (
        f"From {plural(len(records), 'run')}, measured {' to '.join(days[:: len(days) - 1 or 1])}"
    )
    for verdict in (RunVerdict.SUSPECT, RunVerdict.INVALID):
        named = [f"`{record.id}`" for record in records if record.verdict is verdict]
        if named:
            told += f"; {verdict} {'is' if len(named) == 1 else 'are'} {', '.join(named)}"
    return told


def _exhibit(one: Shown) -> str:
    if isinstance(one.thing, Table):
        return render_table(one.thing)
    name = one.name
    return (
        f"![{_alt(one.thing.alt)}]({name}.png)\n\n"
        f"*{one.thing.title}.* [SVG]({name}.svg), [plotted values]({name}.csv)"
    )


def _without_claims(record: RunRecord) -> str:
    return f"No claim speaks of the scenario `{record.scenario}`, so nothing was judged."


def _repeating(account: Account) -> Iterator[str]:
    yield "## How to repeat it"
    yield (
        "```console\n" + "\n".join([*commands(account), account.again]) + "\n```\n\n"
        "The last line makes this report again from the same evidence, byte for byte; what is above"
        " it measures anew. Every figure comes from the run folders: metrics in `run.json`, curves"
        " from the buckets in `histograms.jsonl`, time series from `timeline.csv` and"
        " `resources.csv`, checks from `findings.jsonl`."
    )


def commands(account: Account) -> tuple[str, ...]:
    """Return the commands that made the runs, each once, oldest first."""
    return tuple(dict.fromkeys(record.provenance.command for record in account.records))


def _width(table: Table) -> int:
    return len(table.header)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _alt(text: str) -> str:
    return text.replace("[", "(").replace("]", ")")
