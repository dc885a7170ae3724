"""Recorded conversations of a run, put together by check and variant."""

import msgspec

from monitor.contract.evidence import TRANSCRIPTS, Run
from monitor.contract.findings import TranscriptLine


def conversations(run: Run, check: str) -> dict[str, tuple[TranscriptLine, ...]]:
    """Return the lines recorded under a check, by variant, each in time order."""
    if TRANSCRIPTS not in run.record.files:
        return {}
    found: dict[str, list[TranscriptLine]] = {}
    for line in run.lines(TRANSCRIPTS):
        one = msgspec.convert(line, TranscriptLine)
        if one.check == check:
            found.setdefault(one.variant, []).append(one)
    return {name: tuple(sorted(lines, key=lambda one: one.at_s)) for name, lines in found.items()}
