"""Keeps a chapter true: its marked regions and front matter made anew from evidence.

`compose` says what a document should look like and changes nothing; `write` puts that in place.
"""

import difflib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from monitor.contract.claims import Claim
from monitor.contract.evidence import RunRecord
from monitor.contract.verdicts import ClaimVerdict, NoVerdictError, StaleError, UsageError
from reports.exhibits import Exhibit, Plot, exhibits
from reports.files import write_atomically
from reports.frontmatter import EVIDENCE_DATE, EVIDENCE_RUNS, count_words, with_values
from reports.passage import passages
from reports.pictures import Picture, destination, image_text
from reports.regions import Region, find_regions, refreshed, replace_regions
from reports.render_figure import SUFFIXES, fingerprint, render_figure, stale_pictures
from reports.render_markdown import render_table
from reports.runs import Evidence
from reports.sources import TWINS, Sources
from reports.standing import Standing


@dataclass(frozen=True, slots=True)
class Composed:
    """What a document should be: its text, its pictures, and what stands behind them.

    `without` are the regions nothing could be made for; they are as they were.
    """

    path: Path
    before: str
    after: str
    pictures: tuple[Picture, ...]
    records: tuple[RunRecord, ...]
    standings: tuple[Standing, ...]
    without: tuple[Region, ...]

    @property
    def stale(self) -> tuple[str, ...]:
        """The pictures that are missing or show something else, one line each."""
        return tuple(
            f"{picture.path.parent / name}: missing or not made from this evidence"
            for picture in self.pictures
            for name in stale_pictures(
                picture.path.parent, picture.path.stem, picture.plot, picture.mark
            )
        )

    @property
    def current(self) -> bool:
        """Whether the document and its pictures are as they should be."""
        return self.before == self.after and not self.stale

    @property
    def broken(self) -> tuple[Standing, ...]:
        """The claims in the document's regions that are FALSE."""
        return tuple(one for one in self.standings if one.judgement.verdict is ClaimVerdict.FALSE)

    def diff(self) -> str:
        """Return a unified diff from the document as it is to what it should be."""
        name = str(self.path)
        return "".join(
            line if line.endswith("\n") else line + "\n\\ No newline at end of file\n"
            for line in difflib.unified_diff(
                self.before.splitlines(keepends=True),
                self.after.splitlines(keepends=True),
                name,
                name,
            )
        )


@dataclass(slots=True)
class _Made:
    """What was made so far of one document."""

    regions: list[Region] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    without: list[Region] = field(default_factory=list)
    records: dict[str, RunRecord] = field(default_factory=dict)
    standings: dict[str, Standing] = field(default_factory=dict)


def read_document(path: Path) -> str:
    """Return a document's text such that writing it back gives the same bytes.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}; check the path") from error


def compose(
    path: Path,
    claims: Sequence[Claim],
    target: str | None,
    evidence: Evidence,
    *,
    text: str | None = None,
    same_runs: bool = False,
    force: bool = False,
) -> Composed:
    """Return what the document should be.

    From the newest evidence, or with `same_runs` from the runs its markers name. `text` stands in
    for the file's. Without `force`, a region edited by hand is not replaced.

    Raises:
        UsageError: a marker is misplaced or names no region we know.
        StaleError: a region was edited by hand.
        NoVerdictError: the document has no region, or evidence is damaged, or with `same_runs`
            missing.
    """
    before = read_document(path)
    now = before if text is None else text
    regions = _known_regions(path, now)
    if not force:
        # With `same_runs` an edit shows by itself, except where there is no run to tell it by.
        _refuse_edited(path, [one for one in regions if not (same_runs and one.runs)])
    made = _Made()
    for region in regions:
        if same_runs and not region.runs:
            made.without.append(region)
            continue
        view = evidence.view(region.runs).require() if same_runs else evidence.view()
        _make(path, region, Sources(claims, target, view), made)
    after = _front(replace_regions(now, made.regions), made.records)
    return Composed(
        path,
        before,
        after,
        tuple(made.pictures),
        tuple(made.records.values()),
        tuple(made.standings.values()),
        tuple(made.without),
    )


def write(composed: Composed) -> None:
    """Put the pictures in their places, then the document; each whole or not at all."""
    with tempfile.TemporaryDirectory(prefix="wsproof-pictures-") as folder:
        for picture in composed.pictures:
            stem = picture.path.stem
            if not stale_pictures(picture.path.parent, stem, picture.plot, picture.mark):
                continue
            render_figure(picture.plot, picture.record, Path(folder), stem, picture.mark)
            for suffix in SUFFIXES:
                drawn = Path(folder) / f"{stem}{suffix}"
                write_atomically(picture.path.with_suffix(suffix), drawn.read_bytes())
    if composed.after != composed.before:
        write_atomically(composed.path, composed.after.encode("utf-8", "surrogateescape"))


def region_names() -> tuple[str, ...]:
    """Return the names a marker may have."""
    return tuple(sorted([*passages(), *(exhibit.name for exhibit in exhibits())]))


def _known_regions(path: Path, text: str) -> tuple[Region, ...]:
    regions = find_regions(text, str(path))
    if not regions:
        raise NoVerdictError(
            f"{path}: has no marked region, so nothing in it is kept true; let `wsproof report"
            f" chapter {path} --adopt` find what can be, or put markers by hand"
        )
    for region in regions:
        if region.name not in passages():
            _exhibit(path, region)
    return regions


def _refuse_edited(path: Path, regions: Sequence[Region]) -> None:
    edited = [region for region in regions if region.edited]
    if edited:
        named = ", ".join(f"{region.name} (line {region.line})" for region in edited)
        raise StaleError(
            f"{path}: edited by hand since they were generated: {named}; move your words outside"
            " the markers, or replace them with `wsproof report chapter --force`"
        )


def _make(path: Path, region: Region, sources: Sources, made: _Made) -> None:
    """Make one region anew, or note that there is no evidence for it."""
    text: str | None
    extra: Mapping[str, str] = {}
    passage = passages().get(region.name)
    if passage is not None:
        text = passage.make(sources, region.body)
    else:
        exhibit = _exhibit(path, region)
        text, picture = _show(path, region, exhibit, sources)
        if picture is not None:
            made.pictures.append(picture)
            extra = {"figure": picture.mark}
    if text is None:
        made.without.append(region)
        return
    used = sources.evidence.used
    made.records |= {name: run.record for name, run in used.items()}
    made.standings |= {one.judgement.claim.id: one for one in sources.judged}
    made.regions.append(refreshed(region, f"\n{text}\n", tuple(used), extra))


def _exhibit(path: Path, region: Region) -> Exhibit:
    found = next((one for one in exhibits() if one.name == region.name), None)
    if found is None:
        known = region_names()
        close = difflib.get_close_matches(region.name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"
        raise UsageError(f"{path}: line {region.line}: no region {region.name!r}; {hint}")
    return found


def _show(
    path: Path, region: Region, exhibit: Exhibit, sources: Sources
) -> tuple[str | None, Picture | None]:
    dossier = sources.dossier(exhibit.source)
    shown = None if dossier is None else exhibit.make(dossier)
    if dossier is None or shown is None:
        return None, None
    if not isinstance(shown, Plot):
        return render_table(shown) + "\n", None
    link = destination(region, str(path))
    mark = fingerprint(shown, dossier.record, exhibit.code)
    picture = Picture(path.parent / link.path, shown, dossier.record, mark)
    return image_text(shown, link), picture


def _front(text: str, records: Mapping[str, RunRecord]) -> str:
    values: dict[str, str] = {"words": str(count_words(text))}
    if records:
        values[EVIDENCE_RUNS] = "[" + ", ".join(sorted(records)) + "]"
        newest = max(record.provenance.started_at for record in records.values())
        values[EVIDENCE_DATE] = newest[:10]
    return with_values(text, values)


def changed_code(records: Sequence[RunRecord], code_sha256: str) -> Iterator[str]:
    """Yield the runs that measured other code of the monitor's than that of today.

    A run of the gate on correct services measured none of it.
    """
    for record in records:
        if record.scenario != TWINS and record.provenance.code_sha256 != code_sha256:
            yield record.id
