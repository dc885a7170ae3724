"""The fan-out under random schedules of appends, stalls and resubscriptions.

Each subscriber checks, as a client can, that nothing was skipped in silence.
"""

import json
import re
from datetime import UTC, datetime

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from monitor import fanout as fanout_module
from monitor import wire
from monitor.eventlog import About, EventLog, Filter
from monitor.events import Event
from monitor.fanout import Fanout

_PAYLOADS = re.compile(rb"\{[^{}]*\}")
PHASES = ("lint", "write")
NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)


class Reader:
    """A subscriber that can stop taking data, and that accounts for every offset."""

    def __init__(self, fanout, log):
        self.cursor, self.filter, self.stalled, self.writable = 0, None, False, True
        self.whole_to, self.beginning, self.states = 0, None, {}
        self.promised = 0
        self.expires_at = float("inf")
        self.expired = False
        self.accounted = 0
        self.thinned = 0
        self.thinned_to = 0
        self._fanout, self._log = fanout, log

    def deliver(self, frames, now):
        assert self.writable
        assert now < self.expires_at
        for text in _PAYLOADS.findall(frames):
            self._account(json.loads(text))

    def begun(self):
        assert self.beginning is None

    def expire(self, now):
        assert now >= self.expires_at
        self.expired = True
        self._fanout.unsubscribe(self)

    def _account(self, message):
        match message["type"]:
            case "gap":
                assert not self._wanted_between(self.accounted, message["from"])
                if message["reason"] == "expired":
                    self.states = {}
                else:
                    assert message["from"] > self.promised
                    self.thinned = message["omitted"]
                    self.thinned_to = message["to"]
            case "subscribed":
                assert message["offset"] == self._log.last
                wanted = {s.phase: s.progress for s in self._log.states(self.filter)}
                assert self.states == wanted
                assert message["count"] >= len(wanted)
                self.accounted = self.promised = message["offset"]
            case "phase_update":
                self.states[message["phase"]] = message["progress"]
            case _:
                self._event(message)

    def _wanted_between(self, after, before):
        """Return the offsets between two that pass the filter."""
        return [
            offset
            for offset in range(after + 1, before)
            if self.filter is None or PHASES[offset % 2] in self.filter.phases
        ]

    def _event(self, message):
        offset = message["offset"]
        assert offset > self.accounted
        assert self.filter is None or message["phase"] in self.filter.phases
        skipped = self._wanted_between(self.accounted, offset)
        if skipped:
            assert offset <= self.thinned_to
            self.thinned -= len(skipped)
            assert self.thinned >= 0
        self.accounted = offset


class FanoutMachine(RuleBasedStateMachine):
    """Appends, stalls and drains in any order; flushes whenever the fan-out asks for one."""

    def __init__(self):
        super().__init__()
        self.wanted = False
        self.log = EventLog("epoch", max_bytes=2_000)
        self.fanout = Fanout(self.log, self._again)
        self.readers = []

    def _again(self):
        self.wanted = True

    @rule(wanted=st.sampled_from([None, "lint", "write"]))
    def subscribe(self, wanted):
        reader = Reader(self.fanout, self.log)
        reader.accounted = self.log.last
        chosen = None if wanted is None else Filter(phases=frozenset({wanted}))
        self.fanout.subscribe(reader, chosen, self.log.last)
        self.readers.append(reader)

    @rule(wanted=st.sampled_from([None, "lint", "write"]), back=st.integers(0, 30))
    def resume(self, wanted, back):
        cursor = max(self.log.first - 1, self.log.last - back)
        reader = Reader(self.fanout, self.log)
        reader.accounted, reader.promised = cursor, self.log.last
        chosen = None if wanted is None else Filter(phases=frozenset({wanted}))
        self.fanout.subscribe(reader, chosen, cursor)
        self.readers.append(reader)

    @rule(wanted=st.sampled_from([None, "lint", "write"]))
    def start(self, wanted):
        reader = Reader(self.fanout, self.log)
        self.fanout.start(reader, None if wanted is None else Filter(frozenset({wanted})))
        self.readers.append(reader)

    @rule(count=st.integers(1, 12), kind=st.sampled_from(["phase_progress", "file_trashed"]))
    def append(self, count, kind):
        for _ in range(count):
            offset = self.log.last + 1
            phase = PHASES[offset % 2]
            payload = wire.encode(kind, phase=phase, offset=offset)
            self.log.append(wire.text_frame(payload), About(kind, None, phase))
            if kind == "phase_progress":
                event = Event(kind, NOON, phase=phase, status="in_progress", progress=offset % 101)
                self.log.note([(offset, event, 100)])
        self.wanted = True

    @rule(data=st.data())
    def stall(self, data):
        if self.readers:
            reader = data.draw(st.sampled_from(self.readers))
            if reader.writable:
                reader.writable = False
                self.fanout.pause(reader)

    @rule(data=st.data())
    def drain(self, data):
        if self.readers:
            reader = data.draw(st.sampled_from(self.readers))
            if not reader.writable:
                reader.writable = True
                self.fanout.resume(reader)

    @rule()
    def turn(self):
        self.wanted = False
        self.fanout.flush(0.0)

    @rule()
    def settle(self):
        for _ in range(200):
            if not self.wanted:
                break
            self.turn()
        assert not self.wanted
        for reader in self.readers:
            if reader.writable:
                assert reader.cursor == self.log.last

    @rule(data=st.data())
    def leave(self, data):
        if self.readers:
            reader = data.draw(st.sampled_from(self.readers))
            self.readers.remove(reader)
            self.fanout.unsubscribe(reader)
            self.fanout.unsubscribe(reader)

    @invariant()
    def every_reader_is_known(self):
        assert len(self.fanout) == len(self.readers)


@pytest.fixture(autouse=True)
def _small_bounds(monkeypatch):
    """Bounds a short schedule reaches."""
    monkeypatch.setattr(fanout_module, "WRITE_BYTES", 200)
    monkeypatch.setattr(fanout_module, "THIN_BEHIND_ENTRIES", 4)
    monkeypatch.setattr(fanout_module, "THIN_PASS_ENTRIES", 8)


TestFanout = FanoutMachine.TestCase
TestFanout.settings = settings(max_examples=60, stateful_step_count=60)


def test_subscribers_at_one_cursor_share_one_joined_object():
    log = EventLog("epoch")
    fanout = Fanout(log, lambda: None)
    written = []

    class Keeper(Reader):
        def deliver(self, frames, now):  # noqa: ARG002 - as the fan-out calls it
            written.append(frames)

    for _ in range(3):
        fanout.subscribe(Keeper(fanout, log), None, 0)
    for offset in (1, 2):
        log.append(b"%d" % offset, About("file_trashed", None, None))
    fanout.flush(0.0)
    assert written == [b"12"] * 3
    assert written[0] is written[1] is written[2]
    assert fanout.deliveries == 6


def test_nothing_is_delivered_once_the_token_has_expired():
    log = EventLog("epoch")
    fanout = Fanout(log, lambda: None)
    reader = Reader(fanout, log)
    reader.expires_at = 10.0
    fanout.subscribe(reader, None, 0)
    log.append(b"{}", About("file_trashed", None, None))
    fanout.flush(10.0)
    assert reader.expired
    assert reader.cursor == 0
