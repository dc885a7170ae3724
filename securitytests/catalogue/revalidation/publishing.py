"""Clients that publish without a pause, and what of it is taken: for tokens that end meanwhile."""

import asyncio
import re

from securitytests.bench import Bench
from securitytests.probe.client import Client
from securitytests.probe.peer import ENDS, Ending

_MARK = re.compile(r'"(wsp-[0-9a-f]+-[0-9]+)"')

#: Between two publications of one client.
EVERY_S = 0.05


class Deliveries:
    """Notes when each event arrives at an honest subscriber, until `stop`."""

    def __init__(self, bench: Bench, subscriber: Client) -> None:
        self._bench = bench
        self._subscriber = subscriber
        self._arrived: dict[str, float] = {}
        self._published: dict[str, set[str]] = {}
        self._listening = asyncio.create_task(self._listen())

    def publish(self, name: str) -> str:
        """Return an identifier for an event of the client of this name."""
        identifier = self._bench.mark()
        self._published.setdefault(name, set()).add(identifier)
        return identifier

    def arrivals(self, name: str) -> list[float]:
        """Return when events of this client arrived (loop time), in order."""
        identifiers = self._published.get(name, set())
        return sorted(at for one, at in self._arrived.items() if one in identifiers)

    async def stop(self) -> None:
        """Listen no more."""
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)

    async def _listen(self) -> None:
        while True:
            heard = await self._subscriber.peer.receive(60)
            if heard.kind in ENDS:
                return
            for identifier in _MARK.findall(heard.text):
                self._arrived.setdefault(identifier, heard.at_s)


async def publish_until_end(
    bench: Bench, client: Client, deliveries: Deliveries, name: str, until: float
) -> tuple[Ending, list[float]]:
    """Publish every `EVERY_S` until the connection ends or `until` (loop time).

    Returns:
        how it ended, timed from `until`; and when publications were acknowledged.
    """
    mark = bench.target.publish.acknowledged
    acknowledged: list[float] = []
    publish_at = bench.now()
    while True:
        if bench.now() >= publish_at:
            await client.send_event(bench.event(deliveries.publish(name)))
            publish_at = bench.now() + EVERY_S
        heard = await client.peer.receive(min(publish_at, until) - bench.now())
        if heard.kind in ENDS or bench.now() > until:
            break
        if heard.kind == "text" and mark is not None and mark in heard.text:
            acknowledged.append(heard.at_s)
    kind = heard.kind if heard.kind in ENDS else "silence"
    return Ending(kind, heard.at_s - until, heard.code, heard.text), acknowledged
