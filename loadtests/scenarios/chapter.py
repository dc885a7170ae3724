"""The chapter's main job."""

from typing import ClassVar

from loadtests.scenarios import Scenario


class Chapter(Scenario):
    """50 subscribers and one publisher at 1,100 events/s: what the chapter claims.

    A recorded run of a real pipeline is replayed at a tenth above the claimed rate, so that the
    claim is held with room. All limits of the target stay on.
    """

    clients: ClassVar[int] = 50
    rate: ClassVar[float] = 1100.0
