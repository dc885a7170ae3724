"""Log lines: one a record, for people or for programs, and nothing in them a terminal obeys."""

import json
import logging
import re
import sys

import pytest

from monitor.logs import JsonFormatter, TextFormatter

INSTANT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def fail(text: str) -> None:
    raise ValueError(text)


def record(message: str, *, defect: str = "") -> logging.LogRecord:
    info = None
    if defect:
        try:
            fail(defect)
        except ValueError:
            info = sys.exc_info()
    return logging.LogRecord(
        "monitor.server", logging.INFO, __file__, 1, "%s", (message,), exc_info=info
    )


def test_a_line_for_people_has_time_level_place_and_text() -> None:
    line = TextFormatter().format(record("serving"))
    assert re.fullmatch(INSTANT + " info server: serving", line)


def test_a_line_for_programs_is_one_json_object() -> None:
    line = json.loads(JsonFormatter().format(record("serving")))
    assert re.fullmatch(INSTANT, line.pop("time"))
    assert line == {"level": "info", "logger": "monitor.server", "message": "serving"}


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
@pytest.mark.parametrize("text", ["a\nfake line", "a\r", "\x1b[2J", "\x9b", "a\u2028b", "\u202e"])
def test_no_text_makes_a_line_of_its_own_or_speaks_to_the_terminal(
    formatter: logging.Formatter, text: str
) -> None:
    line = formatter.format(record(text))
    assert line.isprintable()
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_the_trace_of_a_defect_is_there_and_speaks_to_no_terminal_either(
    formatter: logging.Formatter,
) -> None:
    shown = formatter.format(record("broke", defect="\u202e \x1b[2J"))
    assert "Traceback" in shown
    assert "ValueError: \ufffd" in shown
    assert all(line.isprintable() for line in shown.split("\n"))
