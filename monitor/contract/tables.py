"""The tables of a run: one CSV file each, its columns with their units and what they hold."""

from typing import Literal

import msgspec

Scalar = str | int | float | bool | None


class Column(msgspec.Struct, frozen=True):
    """One column of a table: its name (with its unit), cell type, and what it holds."""

    name: str
    type: Literal["int", "float", "str"]
    meaning: str


class Table(msgspec.Struct, frozen=True):
    """One CSV file of a run: a header of column names, then rows in time order."""

    file: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in file order."""
        return tuple(column.name for column in self.columns)


TIMELINE = Table(
    "timeline.csv",
    (
        Column("repeat", "int", "repeat, from 1"),
        Column("at_s", "float", "start of the interval, from the start of the measured window"),
        Column("interval_s", "float", "length of the interval"),
        Column("clients", "int", "subscribers connected at the end of the interval"),
        Column("events_scheduled", "int", "events due in the interval"),
        Column("events_sent", "int", "of those, how many were sent, whenever that was"),
        Column("events_complete", "int", "of those, how many reached every subscriber"),
        Column("deliveries_expected", "int", "events due in the interval times subscribers"),
        Column("deliveries_received", "int", "of those, first arrivals, whenever that was"),
        Column("response_p50_us", "float", "median time from due to read; empty without arrivals"),
        Column("response_p99_us", "float", "99th percentile of the same"),
        Column("response_max_us", "float", "largest of the same"),
        Column("service_p50_us", "float", "median time from send to read"),
        Column("service_p99_us", "float", "99th percentile of the same"),
        Column("send_lag_max_us", "float", "latest send after its due instant"),
    ),
)

RESOURCES = Table(
    "resources.csv",
    (
        Column(
            "repeat",
            "int",
            "repeat, from 1; 0 before the first; in an audit the server, 0 the audit itself",
        ),
        Column("at_s", "float", "time from the start of the run"),
        Column("role", "str", "target, generator or publisher: whose process tree"),
        Column("processes", "int", "processes in the tree"),
        Column("rss_bytes", "int", "resident memory, summed over the tree"),
        Column("uss_bytes", "int", "memory of its own, summed; empty where not readable"),
        Column("cpu_percent", "float", "since the sample before; 100 is one core"),
        Column("descriptors", "int", "open file descriptors, summed"),
        Column("threads", "int", "threads, summed"),
    ),
)

ADMISSIONS = Table(
    "admissions.csv",
    (
        Column("repeat", "int", "repeat, from 1"),
        Column("at_s", "float", "time from the start of the run"),
        Column("address", "str", "the client's source address"),
        Column("kind", "str", "connection, request or message"),
        Column("admitted", "int", "1 admitted, 0 refused"),
        Column("answer", "str", "what the target answered: status, close code or error"),
        Column(
            "who", "str", "client, return, resume; knock or hold: a stranger that goes or stays"
        ),
        Column("shown", "str", "the token a stranger showed: valid or altered, and how"),
        Column("began_s", "float", "when the attempt began, from the start of the run"),
        Column("ended_s", "float", "when the connection ended; empty if it held"),
    ),
)

TABLES = (TIMELINE, RESOURCES, ADMISSIONS)
