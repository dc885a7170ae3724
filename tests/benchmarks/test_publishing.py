"""CPU the monitor spends on an event, from socket to journal to socket.

Figures are in `extra_info`: the timed function itself is empty, as CPU is another process's."""

import json
import time

import psutil
import pytest

from tests.monitor.kit import event
from tests.monitor.peers import Peer, Raw

SUBSCRIBERS = 50


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 100])
@pytest.mark.parametrize("under_way", [1, 10, 100])
def test_cpu_an_event_accepted(benchmark, start_monitor, batch, under_way):
    """Server CPU (user and system) an event, so many publications under way at a time."""
    rounds = max(1, (2_000 if benchmark.enabled else 10) // under_way)
    monitor = start_monitor(publish_events_per_s=10_000_000, log_bytes=2**20)
    process = psutil.Process(monitor.pid)
    headers = {"Authorization": f"Bearer {monitor.token('publish')}"}
    with Peer(monitor.url, additional_headers=headers) as writer:
        writer.hear()
        fields = [event(message="wrote section 12 of 40", run="run-1")] * batch
        text = json.dumps({"type": "publish", "events": fields, "ref": 1})
        before = sum(process.cpu_times()[:2])
        for _ in range(rounds):
            for _ in range(under_way):
                writer.ws.send(text)
            for _ in range(under_way):
                assert writer.hear()["type"] == "ack"
        spent = sum(process.cpu_times()[:2]) - before
    events = rounds * under_way * batch
    benchmark.extra_info.update(events=events, cpu_us_per_event=round(spent / events * 1e6, 2))
    benchmark.pedantic(lambda: None, rounds=1)


@pytest.mark.slow
def test_cpu_a_delivery_in_a_saturated_flush(benchmark, start_monitor):
    """Server CPU a delivery to 50 subscribers, beyond what publishing alone costs."""
    rounds = 400 if benchmark.enabled else 4
    monitor = start_monitor(
        publish_events_per_s=10_000_000, log_bytes=2**20, connections_per_address=100
    )
    process = psutil.Process(monitor.pid)
    headers = {"Authorization": f"Bearer {monitor.token('publish')}"}
    token = monitor.token()
    fields = [event(message="wrote section 12 of 40", run="run-1")] * 200
    with Peer(monitor.url, additional_headers=headers) as writer:
        writer.hear()

        def cpu_of(rounds):
            before = sum(process.cpu_times()[:2])
            for _ in range(rounds):
                assert writer.publish(*fields)["type"] == "ack"
                for raw in raws:
                    raw.sock.recv(1_000_000)
            return sum(process.cpu_times()[:2]) - before

        raws = []
        alone = cpu_of(rounds)
        raws = [Raw(monitor.port) for _ in range(SUBSCRIBERS)]
        for raw in raws:
            raw.upgrade(f"/?token={token}")
            raw.sock.settimeout(5)
        time.sleep(0.1)
        together = cpu_of(rounds)
    deliveries = rounds * len(fields) * SUBSCRIBERS
    benchmark.extra_info.update(
        deliveries=deliveries, cpu_us_per_delivery=round((together - alone) / deliveries * 1e6, 3)
    )
    benchmark.pedantic(lambda: None, rounds=1)
    for raw in raws:
        raw.sock.close()
