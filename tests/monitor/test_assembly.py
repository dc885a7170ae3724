"""Messages put together from any fragments, against their plain concatenation."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.assembly import Assembly, TooManyFragmentsError


@given(st.lists(st.tuples(st.text(max_size=20), st.lists(st.integers(0, 40), max_size=5))))
def test_every_message_comes_out_as_it_was_cut(messages):
    assembly = Assembly(64)
    for text, cuts in messages:
        data = text.encode()
        marks = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
        parts = [data[a:b] for a, b in pairwise(marks)]
        whole = [assembly.add(p, final=n == len(parts)) for n, p in enumerate(parts, 1)]
        assert whole == [None] * (len(parts) - 1) + [text]


def test_a_fragment_too_many_is_refused_empty_or_not():
    assembly = Assembly(3)
    for _ in range(3):
        assert assembly.add(b"", final=False) is None
    with pytest.raises(TooManyFragmentsError):
        assembly.add(b"", final=True)


def test_what_is_not_utf_8_as_a_whole_is_refused():
    assembly = Assembly(3)
    with pytest.raises(UnicodeDecodeError):
        assembly.add(b"\xff", final=True)
    assert assembly.add("é".encode()[:1], final=False) is None
    with pytest.raises(UnicodeDecodeError):
        assembly.add(b"x", final=True)
