"""What a Locust user for WebSockets looks like in most guides: `websockets.sync` in a greenlet.

`--kind idle` only waits: what Locust itself takes for a user. `receive` reads, stamps and counts
every message and tells Locust nothing, so that it is as lean as such a user can be; `report`
fires Locust's request event for each, as guides do. The process prints one JSON line when every
user is connected, with its RSS in bytes, and one when it quits: messages, CPU seconds from the
first message to the last, and its largest RSS until then.
"""

import json
import os
import re
import time
from pathlib import Path

import psutil
from gevent.event import Event
from locust import User, events, task
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

_NUMBER = re.compile(r"wsp-[0-9a-f]+-(\d{9})")


class Account:
    """What all users of this process received."""

    messages = 0
    first_cpu_s = last_cpu_s = 0.0
    stamps: list[tuple[int, int]] = []  # noqa: RUF012 - one process, one account

    @classmethod
    def add(cls, text: str) -> None:
        cls.stamps.append((int(_NUMBER.search(text)[1]), time.monotonic_ns()))
        if not cls.messages:
            cls.first_cpu_s = time.process_time()
        cls.messages += 1
        if cls.messages % 64 == 0:
            cls.last_cpu_s = time.process_time()


class StockUser(User):
    """One connection, read in a loop."""

    def on_start(self) -> None:
        self._kind = self.environment.parsed_options.kind
        if self._kind != "idle":
            self._connection = connect(self.environment.host, compression=None, max_size=None)

    @task
    def receive(self) -> None:
        if self._kind == "idle":
            Event().wait()
        try:
            for text in self._connection:
                Account.add(text)
                if self._kind == "report":
                    self.environment.events.request.fire(
                        request_type="WS",
                        name="delivery",
                        response_time=0.1,
                        response_length=len(text),
                        exception=None,
                        context={},
                    )
        except ConnectionClosed:
            pass  # the server ended before we did
        self.environment.runner.quit()


def say(line: dict[str, float]) -> None:
    os.write(1, json.dumps(line).encode() + b"\n")


@events.init_command_line_parser.add_listener
def add_arguments(parser) -> None:
    parser.add_argument("--kind", default="receive", choices=["idle", "receive", "report"])


@events.spawning_complete.add_listener
def connected(user_count: int, **_: object) -> None:
    say({"users": user_count, "rss_bytes": psutil.Process().memory_info().rss})


def peak_rss_bytes() -> int:
    """Of this program alone: what getrusage(2) says begins with what started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


@events.quitting.add_listener
def quitting(**_: object) -> None:
    say(
        {
            "messages": Account.messages - Account.messages % 64,
            "cpu_s": Account.last_cpu_s - Account.first_cpu_s,
            "rss_peak_bytes": peak_rss_bytes(),
        }
    )
