"""The run folder: what one run leaves behind, and the only reader and writer of its files.

A run is written beside its final place and renamed into it when complete, so a folder under
`runs/` is whole or absent. Nothing in it is a claim's verdict. Units stand in column and metric
names.
"""

import csv
import hashlib
import math
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import msgspec

from monitor.contract.tables import Scalar, Table
from monitor.contract.verdicts import NoVerdictError, RunVerdict, UsageError

#: Version of everything below. 1: first format.
FORMAT_VERSION = 1

HISTOGRAMS = "histograms.jsonl"
FINDINGS = "findings.jsonl"
TRANSCRIPTS = "transcripts.jsonl"
_RUN = "run.json"

#: The checksum of `run.json`, which holds those of all other files.
_SEAL = "run.json.sha256"


#: The statistic of a metric that does not say otherwise.
MEDIAN = "median of repeats"


class Metric(msgspec.Struct, frozen=True, omit_defaults=True):
    """One figure of a run, in `unit`.

    `value` is the median of `repeats` unless `statistic` says otherwise; `interval` is a 95 %
    interval over repeats, absent where there are too few; `samples` counts the independent
    observations (repeats or events, never deliveries of the same event).
    """

    value: float
    unit: str
    statistic: str = MEDIAN
    repeats: tuple[float, ...] = ()
    interval: tuple[float, float] | None = None
    samples: int | None = None


class Histogram(msgspec.Struct, frozen=True):
    """One mergeable histogram: HdrHistogram V2 (base64, values in `unit`) with exact extremes.

    `out_of_range` counts values the buckets could not hold; they are in no bucket, though
    `count`, `sum` and `max` include them. `name` is `response` (due to read) or `service` (send
    to read) for deliveries, and for events `first_receiver`, `median_receiver`, `last_receiver`
    (due to read) and `spread` (first to last); `repeat` counts from 1, and 0 is the run merged.
    """

    name: str
    repeat: int
    unit: str
    encoded: str
    count: int
    sum: int
    min: int
    max: int
    out_of_range: int


class Repeat(msgspec.Struct, frozen=True):
    """One repeat of a scenario: its own figures and whether they can be believed.

    `point` names what was offered where a run offers several things; what is not `counted` only
    looked for where to measure, and the run's metrics are made without it.
    """

    number: int
    started_at: str
    window_s: float
    verdict: RunVerdict
    reasons: tuple[str, ...]
    metrics: dict[str, Metric]
    point: str = ""
    counted: bool = True


class Provenance(msgspec.Struct, frozen=True):
    """Where, when and from what a run was made: enough to repeat it, nothing that identifies."""

    started_at: str
    finished_at: str
    command: str
    seed: int | None
    code_sha256: str
    profile_sha256: str
    commit: str | None
    host: str
    cpu_model: str
    cpu_count: int
    memory_bytes: int
    kernel: str
    open_files_limit: int
    python: str
    libraries: dict[str, str]
    load_average_before: tuple[float, float, float]
    load_average_after: tuple[float, float, float]


class LeftOut(msgspec.Struct, frozen=True):
    """What a copy of a run lacks of one file: so many `lines`, `what` they were.

    `sha256` is that of the whole file, as the run's own folder has it.
    """

    lines: int
    what: str
    sha256: str


class RunRecord(msgspec.Struct, frozen=True):
    """`run.json`: one run as a whole. `files` maps each other file to its SHA-256.

    `left_out` says of a copy that is kept what it lacks, by file; a run's own folder lacks nothing.
    """

    id: str
    kind: Literal["load", "audit", "trace"]
    scenario: str
    parameters: dict[str, Scalar]
    target: str
    target_url: str
    verdict: RunVerdict
    reasons: tuple[str, ...]
    metrics: dict[str, Metric]
    repeats: tuple[Repeat, ...]
    provenance: Provenance
    files: dict[str, str] = {}
    format_version: int = FORMAT_VERSION
    left_out: dict[str, LeftOut] = {}

    @property
    def whole(self) -> "RunRecord":
        """This record as the run's own folder has it."""
        originals = {name: lacking.sha256 for name, lacking in self.left_out.items()}
        return msgspec.structs.replace(self, files={**self.files, **originals}, left_out={})


def new_run_id(kind: str, scenario: str, at: datetime | None = None) -> str:
    """Return an id that sorts by time and does not repeat: `20250101-120000-load-chapter-1a2b`."""
    moment = (at or datetime.now(UTC)).strftime("%Y%m%d-%H%M%S")
    return f"{moment}-{kind}-{re.sub(r'[^a-z0-9-]', '-', scenario)}-{secrets.token_hex(2)}"


class RunWriter:
    """Writes one run folder, all or nothing.

    As a context manager, whatever is not finished by `finish` is removed on the way out.
    """

    def __init__(self, root: Path, run_id: str) -> None:
        self.path = root / run_id
        self._partial = root / f".{run_id}.partial"
        try:
            self._partial.mkdir(parents=True)
        except OSError as error:
            raise UsageError(
                f"runs folder {root}: cannot be written: {error.strerror}; pass --runs DIR"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._partial.exists():
            shutil.rmtree(self._partial)

    def write_table(self, table: Table, rows: Iterable[Sequence[Scalar]]) -> None:
        """Write rows in the order of `table.names`; None becomes an empty cell.

        Lines end as RFC 4180 has it: the csv module quotes the characters of its own line end
        only, and a target's answer may hold a carriage return.
        """
        with (self._partial / table.file).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(table.names)
            writer.writerows(rows)

    def write_histograms(self, histograms: Iterable[Histogram]) -> None:
        """Write the run's histograms, one JSON line each."""
        self.write_lines(HISTOGRAMS, histograms)

    def write_lines(self, file: str, records: Iterable[Any]) -> None:
        """Write one JSON line a record (a struct or plain data)."""
        encode = msgspec.json.encode
        with (self._partial / file).open("wb") as out:
            out.writelines(encode(record) + b"\n" for record in records)

    def copy(self, file: Path) -> None:
        """Take over a file of another folder of the same run, as it is."""
        shutil.copyfile(file, self._partial / file.name)

    def finish(self, record: RunRecord) -> Path:
        """Add checksums, write `run.json`, and move the folder to its place, its files read-only.

        Raises:
            ValueError: a metric is not a finite number; JSON could not hold it.
        """
        for name, metric in record.metrics.items():
            if not math.isfinite(metric.value):
                raise ValueError(
                    f"metric {name} is {metric.value}; leave out what was not measured"
                )
        files = {path.name: _sha256(path) for path in sorted(self._partial.iterdir())}
        complete = msgspec.structs.replace(record, files=files)
        text = msgspec.json.format(msgspec.json.encode(complete), indent=2)
        (self._partial / _RUN).write_bytes(text + b"\n")
        (self._partial / _SEAL).write_text(_sha256(self._partial / _RUN) + "\n", encoding="ascii")
        for path in self._partial.iterdir():
            _sync(path)
            path.chmod(0o444)
        self._partial.rename(self.path)
        _sync(self.path.parent)
        return self.path


class Run:
    """A finished run, read back: its record, tables, histograms and lines."""

    def __init__(self, path: Path, record: RunRecord) -> None:
        self.path = path
        self.record = record

    def rows(self, table: Table) -> Iterator[tuple[Scalar, ...]]:
        """Yield the rows of a table as typed values; an empty cell is None.

        A run that ended before it had such a table has no rows of it.
        """
        if table.file not in self.record.files:
            return
        parsers = [_PARSERS[column.type] for column in table.columns]
        with (self.path / table.file).open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            header = tuple(next(reader, ()))
            if header != table.names:
                raise NoVerdictError(
                    f"run {self.record.id}: {table.file} has columns {', '.join(header)};"
                    f" expected {', '.join(table.names)}"
                )
            for cells in reader:
                yield tuple(
                    parse(cell) if cell else None
                    for parse, cell in zip(parsers, cells, strict=True)
                )

    def histograms(self) -> tuple[Histogram, ...]:
        """Return every histogram of the run; none if it ended before it had any."""
        if HISTOGRAMS not in self.record.files:
            return ()
        decode = msgspec.json.Decoder(Histogram).decode
        with (self.path / HISTOGRAMS).open("rb") as file:
            return tuple(decode(line) for line in file)

    def lines(self, file: str) -> Iterator[Any]:
        """Yield the decoded JSON lines of a file such as `findings.jsonl`."""
        with (self.path / file).open("rb") as lines:
            yield from map(msgspec.json.decode, lines)


def load_run(path: Path) -> Run:
    """Read a finished run and verify it.

    Raises:
        NoVerdictError: not a run, of a newer format, incomplete, or with a wrong checksum.
    """
    try:
        text = (path / _RUN).read_bytes()
    except OSError as error:
        raise NoVerdictError(
            f"run {path}: no readable {_RUN} ({error.strerror}); name a folder under runs/"
        ) from error
    try:
        version = msgspec.json.decode(text, type=_Versioned).format_version
        if version > FORMAT_VERSION:
            raise NoVerdictError(
                f"run {path}: evidence format {version} is newer than {FORMAT_VERSION},"
                " the newest this wsproof reads; update wsproof"
            )
        record = msgspec.json.decode(text, type=RunRecord)
    except msgspec.MsgspecError as error:
        raise NoVerdictError(f"run {path}: {_RUN} is damaged: {error}") from error
    for name, expected in (*record.files.items(), (_RUN, _sealed(path))):
        try:
            found = _sha256(path / name)
        except OSError as error:
            raise NoVerdictError(
                f"run {path}: incomplete: {name} cannot be read: {error.strerror}; measure again"
            ) from error
        if found != expected:
            raise NoVerdictError(
                f"run {path}: {name} was changed after the run: its checksum"
                " differs; measure again or restore the file"
            )
    return Run(path, record)


def _sealed(path: Path) -> str:
    """Return the checksum that was noted of `run.json` itself."""
    try:
        return (path / _SEAL).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NoVerdictError(
            f"run {path}: incomplete: {_SEAL} cannot be read: {error}; measure again"
        ) from error


def list_runs(root: Path) -> list[Path]:
    """Return the finished run folders under `root`, oldest first."""
    if not root.is_dir():
        return []
    return sorted(
        path
        for path in root.iterdir()
        if not path.name.startswith(".") and (path / _RUN).is_file()  # a dot: cut short by a kill
    )


class _Versioned(msgspec.Struct):
    format_version: int


_PARSERS: dict[str, Any] = {"int": int, "float": float, "str": str}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
