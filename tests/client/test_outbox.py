import threading
from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from monitor.client.outbox import Entry, Outbox, Tally


def event(name: str, *, size: int = 10) -> Entry:
    return Entry(name, b"x" * size, expendable=False)


def progress(name: str, *, size: int = 10) -> Entry:
    return Entry(name, b"x" * size, expendable=True)


def ids(batch: tuple[Entry, ...]) -> list[str]:
    return [entry.id for entry in batch]


def test_entries_stay_until_acknowledged() -> None:
    outbox = Outbox()
    for name in "abc":
        outbox.put(event(name))
    assert ids(outbox.peek(2, 1000)) == ["a", "b"]
    assert ids(outbox.peek(2, 1000)) == ["a", "b"]
    outbox.acknowledge(2)
    assert ids(outbox.peek(2, 1000)) == ["c"]


def test_a_batch_is_bounded_in_bytes_but_never_empty() -> None:
    outbox = Outbox()
    for name in "abc":
        outbox.put(event(name, size=40))
    assert ids(outbox.peek(10, 100)) == ["a", "b"]
    assert ids(outbox.peek(10, 1)) == ["a"]


def test_a_full_outbox_drops_the_oldest_progress_report_for_a_new_event() -> None:
    outbox = Outbox(max_events=3)
    for entry in (event("start"), progress("10"), progress("20")):
        assert outbox.put(entry).complete
    assert not outbox.put(event("complete")).complete
    assert ids(outbox.peek(10, 1000)) == ["start", "20", "complete"]
    assert outbox.tally() == Tally(acknowledged=0, refused=0, dropped=1, waiting=3)


def test_without_progress_reports_a_full_outbox_drops_the_new_event() -> None:
    outbox = Outbox(max_events=1)
    outbox.put(event("a"))
    assert not outbox.put(event("b")).complete
    assert ids(outbox.peek(10, 1000)) == ["a"]


def test_what_is_being_sent_is_not_dropped() -> None:
    outbox = Outbox(max_events=2)
    outbox.put(progress("10"))
    outbox.put(progress("20"))
    outbox.peek(2, 1000)
    assert not outbox.put(event("complete")).complete
    assert ids(outbox.peek(2, 1000)) == ["10", "20"]


def test_an_event_larger_than_the_outbox_drops_nothing_else() -> None:
    outbox = Outbox(max_bytes=100)
    outbox.put(progress("10"))
    assert not outbox.put(event("huge", size=101)).complete
    assert ids(outbox.peek(2, 1000)) == ["10"]


def test_a_refused_entry_leaves_the_rest_in_order() -> None:
    outbox = Outbox()
    for name in "abc":
        outbox.put(event(name))
    assert outbox.refuse(1).id == "b"
    assert ids(outbox.peek(10, 1000)) == ["a", "c"]
    assert outbox.tally() == Tally(acknowledged=0, refused=1, dropped=0, waiting=2)


def test_threads_lose_nothing_to_each_other() -> None:
    outbox = Outbox(max_events=100_000)

    def fill(name: str) -> Callable[[], None]:
        return lambda: [outbox.put(event(f"{name}{n}")) for n in range(2_000)] and None

    threads = [threading.Thread(target=fill(name)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    batch = ids(outbox.peek(100_000, 10**9))
    assert len(batch) == len(set(batch)) == 8_000
    for name in "abcd":
        own = [i for i in batch if i.startswith(name)]
        assert own == [f"{name}{n}" for n in range(2_000)]


def test_only_an_event_that_found_the_outbox_empty_wakes_the_sender() -> None:
    outbox = Outbox()
    assert [outbox.put(event(name)).alone for name in "ab"] == [True, False]
    outbox.acknowledge(2)
    assert outbox.put(event("c")).alone


class OutboxAgainstModel(RuleBasedStateMachine):
    """Any schedule of putting, sending, acknowledging and refusing, against plain lists."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox = Outbox(max_events=5, max_bytes=200)
        self.model: list[Entry] = []
        self.sent: set[str] = set()
        self.counts = {"acknowledged": 0, "refused": 0, "dropped": 0}
        self.number = 0

    @rule(expendable=st.booleans(), size=st.integers(1, 90))
    def put(self, expendable: bool, size: int) -> None:
        self.number += 1
        entry = Entry(str(self.number), b"x" * size, expendable)
        self.outbox.put(entry)
        while len(self.model) >= 5 or self.model_bytes() + size > 200:
            self.counts["dropped"] += 1
            oldest = next((e for e in self.model if e.expendable and e.id not in self.sent), None)
            if oldest is None:
                return
            self.model.remove(oldest)
        self.model.append(entry)

    @rule(count=st.integers(1, 6), accept=st.booleans())
    def send(self, count: int, accept: bool) -> None:
        batch = self.outbox.peek(count, 10_000)
        assert list(batch) == self.model[:count]
        self.sent.update(entry.id for entry in batch)
        if accept:
            self.outbox.acknowledge(len(batch))
            del self.model[: len(batch)]
            self.counts["acknowledged"] += len(batch)

    @rule(index=st.integers(0, 4))
    def refuse(self, index: int) -> None:
        batch = self.outbox.peek(index + 1, 10_000)
        self.sent.update(entry.id for entry in batch)
        if len(batch) > index:
            assert self.outbox.refuse(index) is self.model.pop(index)
            self.counts["refused"] += 1

    @invariant()
    def tallies_agree(self) -> None:
        assert self.outbox.tally() == Tally(**self.counts, waiting=len(self.model))
        assert len(self.outbox._expendable) <= len(self.model) + self.counts["refused"] + 5

    def model_bytes(self) -> int:
        return sum(len(entry.payload) for entry in self.model)


TestOutboxAgainstModel = OutboxAgainstModel.TestCase
