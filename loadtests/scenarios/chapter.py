"""The chapter's main job."""

from typing import ClassVar

from loadtests.scenarios import Scenario


class Chapter(Scenario):
    """50 subscribers and one publisher at 1,100 events/s: what the chapter claims.

    A recorded run of a real pipeline is replayed at a tenth above the claimed rate, so that the
    claim is held with room. All limits of the target stay on.

    One pipeline is bursts and pauses: it emits at twelve times its mean rate, then nothing for a
    while. A service that is told 1,100 events in every second watches several at once: sixteen
    replay the recording side by side, each keeping its own rhythm.
    """

    clients: ClassVar[int] = 50
    rate: ClassVar[float] = 1100.0
    pipelines: ClassVar[int] = 16
