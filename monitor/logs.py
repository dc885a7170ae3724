"""Log lines on stderr: plain text for people, or one JSON object a line."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Literal

from monitor.redaction import neutralise


def configure(level: str, form: Literal["text", "json"]) -> None:
    """Send every log line of this process to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


class _Formatter(logging.Formatter):
    def formatException(self, ei: Any) -> str:  # noqa: N802 - the base class's name
        """Return the trace of a defect, without controls: its text may quote a peer."""
        return "\n".join(map(neutralise, super().formatException(ei).split("\n")))


class TextFormatter(_Formatter):
    """`2025-01-01T12:00:00.000Z info server: serving …`, always one line without controls."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        where = record.name.removeprefix("monitor.")
        text = neutralise(record.getMessage())
        trace = "" if record.exc_info is None else "\n" + self.formatException(record.exc_info)
        return f"{_instant(record)} {record.levelname.lower()} {where}: {text}{trace}"


class JsonFormatter(_Formatter):
    """One JSON object a line: time, level, logger, message, and the trace of a defect."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields = {
            "time": _instant(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": neutralise(record.getMessage()),
        }
        if record.exc_info is not None:
            fields["trace"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)


def _instant(record: logging.LogRecord) -> str:
    instant = datetime.fromtimestamp(record.created, UTC)
    return instant.strftime("%Y-%m-%dT%H:%M:%S.") + f"{int(record.msecs):03d}Z"
