"""What the operator is told of refusals: at once, then by number, never more than so much."""

import logging

import pytest

from monitor.incidents import MAX_TOLD, Incidents
from monitor.metrics import Metrics


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, "monitor.incidents")
    return lambda: [record.getMessage() for record in caplog.records]


def test_the_first_is_told_at_once_and_what_follows_once_a_minute_by_its_number(lines):
    incidents = Incidents(Metrics())
    for second in range(10):
        incidents.note("192.0.2.1", "too many requests", 100.0 + second)
    incidents.note("192.0.2.2", "too many requests", 110.0)
    assert lines() == ["192.0.2.1: too many requests", "192.0.2.2: too many requests"]
    incidents.sweep(159.9)
    assert len(lines()) == 2
    incidents.sweep(160.0)
    assert lines()[2:] == ["192.0.2.1: too many requests, 9 more in 60 s"]


def test_what_goes_on_is_told_by_number_alone_and_anew_after_a_quiet_minute(lines):
    incidents = Incidents(Metrics())
    for second in range(240):
        incidents.note("192.0.2.1", "flood", float(second))
        incidents.sweep(second + 0.5)
    incidents.sweep(240.0)
    assert lines() == [
        "192.0.2.1: flood",
        *[f"192.0.2.1: flood, {n} more in 60 s" for n in (59, 60, 60, 60)],
    ]
    incidents.sweep(300.0)
    incidents.note("192.0.2.1", "flood", 301.0)
    assert lines()[-1] == "192.0.2.1: flood"


def test_many_addresses_take_neither_lines_nor_memory_without_bound(lines):
    incidents = Incidents(Metrics())
    for number in range(10_000):
        incidents.note(f"192.0.{number >> 8}.{number & 255}", "x", 0.0)
    incidents.sweep(60.0)
    told = lines()
    assert len(told) == MAX_TOLD + 1
    assert told[-1] == f"of further addresses: {10_000 - MAX_TOLD} refused or sent away"
