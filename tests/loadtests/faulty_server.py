"""A broadcaster that does wrong on purpose, by a schedule a test can count.

Run as a process with a comma-separated list of `fault:period`: of the events it broadcasts, every
`period`-th (counted from the first) is lost, duplicated, swapped with the next, or left out with
an announcement.
"""

import sys

from websockets.frames import Frame, Opcode

from loadtests import nullserver


class FaultyBroadcaster(nullserver.Broadcaster):
    faults: dict[str, int] = {}  # noqa: RUF012 - set once, before the process serves
    count = 0
    held: bytes | None = None

    def frames_for(self, payloads: list[bytes]) -> bytes:
        return b"".join(map(self._one, payloads))

    def _one(self, payload: bytes) -> bytes:
        frame = Frame(Opcode.TEXT, payload).serialize(mask=False)
        number, self.count = self.count, self.count + 1
        if self.held is not None:
            frame, self.held = frame + self.held, None
        if self._due("swap", number):
            self.held = frame
            return b""
        if self._due("lose", number):
            return b""
        if self._due("thin", number):
            return Frame(Opcode.TEXT, b'{"type":"gap","omitted":1}').serialize(mask=False)
        return frame * 2 if self._due("double", number) else frame

    def _due(self, fault: str, number: int) -> bool:
        period = self.faults.get(fault)
        return period is not None and number % period == period - 1


if __name__ == "__main__":
    for word in sys.argv[1].split(","):
        fault, _, period = word.partition(":")
        FaultyBroadcaster.faults[fault] = int(period)
    nullserver.run(FaultyBroadcaster)
