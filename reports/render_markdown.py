"""Turns tables and figures into Markdown, and puts the report of one run together."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from monitor.contract.claims import Judgement
from monitor.contract.evidence import RunRecord, Scalar
from monitor.contract.verdicts import ClaimVerdict, RunVerdict
from reports.dossier import Dossier
from reports.exhibits import Exhibit, Plot, Table
from reports.wording import plural

Made = tuple[Exhibit, Table | Plot]

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


def render_report(dossier: Dossier, made: Sequence[Made]) -> str:
    """Return the whole report: the verdict first, then section by section, then how to repeat."""
    parts = list(_opening(dossier))
    for section, members in groupby(made, key=lambda pair: pair[0].section):
        parts.append(f"## {section}")
        parts += [_exhibit(exhibit, one) for exhibit, one in members]
    if not dossier.judgements:
        parts.append(_without_claims(dossier.record))
    return "\n\n".join([*parts, *_repeating(dossier.record)]) + "\n"


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


def _opening(dossier: Dossier) -> Iterator[str]:
    record = dossier.record
    yield f"# {record.target}, scenario {record.scenario}: {summary(dossier.judgements)}"
    yield (
        f"**The run is {record.verdict}**: {MEANING[record.verdict]}. Measured"
        f" {record.provenance.started_at}, {plural(len(record.repeats), 'repeat')}:"
        f" {load_offered(record.parameters)}."
    )
    if record.reasons:
        yield "\n".join(f"- {reason}" for reason in record.reasons)


def _exhibit(exhibit: Exhibit, one: Table | Plot) -> str:
    if isinstance(one, Table):
        return render_table(one)
    name = exhibit.name
    return (
        f"![{_alt(one.alt)}]({name}.png)\n\n"
        f"*{one.title}.* [SVG]({name}.svg), [plotted values]({name}.csv)"
    )


def _without_claims(record: RunRecord) -> str:
    return f"No claim speaks of the scenario `{record.scenario}`, so nothing was judged."


def _repeating(record: RunRecord) -> Iterator[str]:
    yield "## How to repeat it"
    yield (
        f"```console\n{record.provenance.command}\nwsproof report build {record.id}\n```\n\n"
        "The first line measures anew; the second makes this report again from the same evidence,"
        " byte for byte. Every figure above comes from the run folder: metrics in `run.json`,"
        " curves from the buckets in `histograms.jsonl`, time series from `timeline.csv` and"
        " `resources.csv`."
    )


def _width(table: Table) -> int:
    return len(table.header)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _alt(text: str) -> str:
    return text.replace("[", "(").replace("]", ")")
