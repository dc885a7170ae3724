"""A subscriber to which nothing is delivered is idle, too."""

import asyncio
from types import SimpleNamespace

import pytest

from monitor.contract.target import load_target
from monitor.contract.verdicts import Verdict
from securitytests.catalogue.idle.silence import _left_alone, silent_client
from securitytests.gate.mutation import mutated
from securitytests.judging import CannotTellError
from securitytests.probe.peer import Ending
from tests.securitytests.kit import REFERENCE, audit


@pytest.mark.slow
def test_a_service_whose_subscribers_are_never_idle_is_found():
    target = mutated(load_target(REFERENCE).shortened(), "subscribers_are_never_idle")
    found = audit(silent_client, target=target)["ID1"]
    assert found.verdict is Verdict.FAIL
    wrong = {seen.variant for seen in found.observations if seen.verdict is Verdict.FAIL}
    assert wrong == {f"{method}, subscribed" for method in target.authentication.methods}


class Subscribed:
    """A subscriber, and its bench: `said` are when it is sent something, `end` when it is over."""

    def __init__(self, said, end, activity=("delivery",)):
        self._said, self._end, self._now = list(said), end, 0.0
        self.promises = SimpleNamespace(tolerance_s=1.0, activity=activity)
        self.peer = SimpleNamespace(stream=self, until_end=self.until_end)
        self.received_at = 0.0

    def now(self):
        return self._now

    def promised(self, _):
        return 3.0

    def cannot_tell(self, reason):
        raise CannotTellError(reason)

    async def until_end(self, within, *, stop_at):
        until = self._now + within
        if stop_at == "" and self._said and self._said[0] <= until:
            self._now = self.received_at = self._said.pop(0)
            return Ending("silence", 0.0, texts=("an event",), at_s=self._now)
        if self._end is not None and self._end <= until:
            return Ending("close", 0.0, 4408, at_s=self._end)
        self._now = until
        return Ending("silence", within, at_s=until)


def left_alone(one):
    ending, later_s = asyncio.run(_left_alone(one, one))
    return ending.kind, ending.after_s, later_s


def test_what_is_delivered_all_the_same_puts_off_the_end():
    assert left_alone(Subscribed([], 3.0)) == ("close", 3.0, 0.0)
    assert left_alone(Subscribed([1.0, 2.0], 5.0)) == ("close", 5.0, 2.0)
    assert left_alone(Subscribed([1.0], None)) == ("silence", 5.5, 1.0)


def test_where_deliveries_are_no_activity_they_put_off_nothing():
    assert left_alone(Subscribed([1.0], 3.0, activity=("message",))) == ("close", 3.0, 0.0)


def test_who_is_sent_something_all_the_time_was_never_idle():
    with pytest.raises(CannotTellError, match="never idle"):
        left_alone(Subscribed(range(1, 60), None))
