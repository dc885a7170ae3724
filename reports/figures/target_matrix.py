"""How do several services compare, check by check?"""

from collections import Counter
from collections.abc import Mapping

from monitor.contract.verdicts import Verdict
from reports.checks import findings
from reports.dossier import Dossier
from reports.exhibits import Plot, Section, figure
from reports.gate import check_key, twin_runs
from reports.sources import EVERY_AUDIT, TWINS
from reports.tiles import draw_grid, grid_height_in, worst
from reports.wording import plural

#: More columns than this cannot be told apart at column width; the rest is in the table of runs.
_TARGETS = 8


@figure(Section.SECURITY, source=EVERY_AUDIT)
def target_matrix(dossier: Dossier) -> Plot | None:
    """Draw check by target, from the newest audit of each; None where only one was audited."""
    runs = (dossier.run, *dossier.others)
    verdicts = {
        (finding.id, run.record.target): finding.verdict
        for run in runs[:_TARGETS]
        for finding in findings(run)
    }
    if len({target for _, target in verdicts}) < 2:
        return None
    failed = Counter(target for (_, target), word in verdicts.items() if word is Verdict.FAIL)
    told = ", ".join(f"{target} fails {plural(count, 'check')}" for target, count in failed.items())
    return _plot(verdicts, told.capitalize() if told else "No target fails a check")


@figure(Section.SECURITY, source=TWINS)
def twin_matrix(dossier: Dossier) -> Plot | None:
    """Draw check by correct service, the worst of its runs in each tile: a ✗ is a false alarm."""
    runs = twin_runs(dossier.run)
    said: dict[tuple[str, str], list[Verdict]] = {}
    for run in runs:
        for check, verdict in run.verdicts.items():
            said.setdefault((check, run.service), []).append(verdict)
    if not said:
        return None
    alarms = sum(len(run.alarms) for run in runs)
    title = f"{plural(alarms, 'false alarm')} in {plural(len(runs), 'run')} on correct services"
    return _plot({where: worst(words) for where, words in said.items()}, title)


def _plot(verdicts: Mapping[tuple[str, str], Verdict], title: str) -> Plot:
    checks = sorted({check for check, _ in verdicts}, key=check_key)
    targets = list(dict.fromkeys(target for _, target in verdicts))
    counts = {
        target: Counter(word for (_, its), word in verdicts.items() if its == target)
        for target in targets
    }
    told = "; ".join(
        f"{target}: {', '.join(f'{number} {word}' for word, number in sorted(count.items()))}"
        for target, count in counts.items()
    )
    return Plot(
        title=title,
        alt=f"Matrix of {len(checks)} checks by service. {told}.",
        columns=("check", "target", "verdict"),
        rows=[(*where, word) for where, word in sorted(verdicts.items())],
        draw=lambda canvas: draw_grid(canvas, checks, targets, verdicts),
        height_in=grid_height_in(len(checks)),
    )
