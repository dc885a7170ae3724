"""The Locust user: one user is one WebSocket connection.

It opens its connection when it is spawned or when its scenario says, is there while events arrive,
and closes it when it is stopped. Reading is the receivers' work; a user only waits.
"""

from typing import Any, ClassVar

from gevent.event import Event
from locust import User, task
from locust.exception import StopUser

from loadtests.conductor import Conductor
from loadtests.subscriber import Subscriber


class WebSocketUser(User):
    """One subscriber of the scenario that is being conducted."""

    abstract = True
    conductor: ClassVar[Conductor | None] = None

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._subscriber: Subscriber | None = None
        self._ended = Event()

    def on_start(self) -> None:
        """Connect; a user that is refused is gone."""
        conductor = type(self).conductor
        if conductor is None:
            raise StopUser
        self._subscriber = conductor.connect(self._ended.set)
        if self._subscriber is not None and not self._subscriber.ready:
            raise StopUser

    def on_stop(self) -> None:
        """Close the connection properly."""
        conductor = type(self).conductor
        if conductor is not None and self._subscriber is not None:
            conductor.receivers.leave(self._subscriber)

    @task
    def receive(self) -> None:
        """Stay until the connection ends."""
        self._ended.wait()
        raise StopUser
