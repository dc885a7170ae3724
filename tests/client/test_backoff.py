from hypothesis import given
from hypothesis import strategies as st

from monitor.client.backoff import Backoff

FULL = (1, 2, 4, 8, 16, 30, 30, 30)


def delays(random: float, count: int = len(FULL)) -> list[float]:
    backoff = Backoff(lambda: random)
    return [backoff.next() for _ in range(count)]


def test_delays_double_from_one_second_to_thirty() -> None:
    assert delays(1.0) == list(FULL)


def test_the_shortest_draw_is_half_of_each_delay() -> None:
    assert delays(0.0) == [delay / 2 for delay in FULL]


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=40))
def test_every_draw_lies_in_the_upper_half_of_its_delay(draws: list[float]) -> None:
    backoff = Backoff(iter(draws).__next__)
    for number in range(len(draws)):
        delay = min(2**number, 30)
        assert delay / 2 <= backoff.next() <= delay


def test_after_a_reset_the_first_delay_comes_again() -> None:
    backoff = Backoff(lambda: 1.0)
    backoff.next()
    backoff.next()
    backoff.reset()
    assert backoff.next() == 1.0
