"""Cost of the monitor's hot paths. `make benchmark` times them; as tests they run once."""

import json

import pytest

from monitor import wire
from monitor.effects import Send
from monitor.eventlog import About, EventLog
from monitor.events import accept, encode_event, free_texts
from monitor.fanout import Fanout
from monitor.redaction import Redactor
from monitor.tokens import Scope
from tests.monitor.kit import Client, event


class Sink:
    """A subscriber that is always writable and drops what it is given."""

    expires_at = float("inf")
    writable = True

    def __init__(self):
        self.cursor, self.filter, self.stalled = 0, None, False
        self.whole_to, self.beginning = 0, None

    def deliver(self, frames, now):
        pass

    def expire(self, now):
        raise AssertionError(now)


@pytest.mark.parametrize("events", [1, 100])
def test_accept_encode_and_append(benchmark, events):
    """Decode, validate, redact, encode and append one `publish` of so many events."""
    fields = event(message="wrote section 12 of 40", run="run-1", id="wsp-1-000000001")
    text = json.dumps({"type": "publish", "events": [fields] * events})
    log, redactor = EventLog("epoch"), Redactor()

    def publish():
        decoded = wire.decode(text).events
        redact = None if redactor.lets_pass(free_texts(decoded)) else redactor.redact
        accepted = [accept(published, redact)[0] for published in decoded]
        told = []
        for clean in accepted:
            payload = encode_event(clean, log.last + 1)
            log.append(wire.text_frame(payload), About(clean.type, clean.run, clean.phase))
            told.append((log.last, clean, len(payload)))
        log.note(told)

    benchmark(publish)
    benchmark.extra_info["events"] = events


@pytest.mark.parametrize("events", [1, 100])
@pytest.mark.parametrize("subscribers", [1, 50, 5_000])
def test_flush(benchmark, subscribers, events):
    """One flush of so many events to so many level subscribers, writing left out."""
    log = EventLog("epoch", max_bytes=2**20)
    fanout = Fanout(log, lambda: None)
    for _ in range(subscribers):
        fanout.subscribe(Sink(), None, 0)
    frame = wire.text_frame(b"x" * 220)

    def append():
        for _ in range(events):
            log.append(frame, About("phase_progress", "r", "p"))

    benchmark.pedantic(lambda: fanout.flush(0.0), setup=append, rounds=200, warmup_rounds=5)
    benchmark.extra_info["deliveries"] = subscribers * events


def test_token_check_of_a_message(benchmark):
    """An inbound `ping`: decode, expiry and limit, with the token verified long ago."""
    client = Client(requests_per_window=10**9).opened(Scope.SUBSCRIBE)
    (answer,) = benchmark(client.session.receive, '{"type":"ping"}', 1.0)
    assert isinstance(answer, Send)
