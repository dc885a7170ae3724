"""Paired differences: how sure a difference of times is, and what is made of it."""

import random

import pytest

from securitytests.catalogue.channels.timing import better_guess, judge_difference, worse_guess
from securitytests.timing import Difference, difference

TOKEN = "header.claims.S3cretSignatureOf32Bytes"
SAME = Difference(0.0, -0.00002, 0.00002)


def noisy(seed, shift_s=0.0):
    source = random.Random(seed)  # noqa: S311 - an example, no secret
    return [0.001 + source.expovariate(5_000) + shift_s for _ in range(150)]


def test_times_of_one_kind_differ_by_nothing_that_is_sure():
    found = difference(noisy(1), noisy(2))
    assert found.least_s == 0
    assert found.low_s < found.median_s < found.high_s


@pytest.mark.parametrize("shift_s", [0.0005, -0.0005])
def test_a_shift_is_found_in_either_direction_and_least_is_the_nearer_end(shift_s):
    found = difference(noisy(1), noisy(2, shift_s))
    assert abs(found.median_s - shift_s) < 0.0001
    assert 0.0003 < found.least_s < 0.0005


@pytest.mark.parametrize(
    ("found", "control", "verdict"),
    [
        (Difference(0.0003, 0.00025, 0.0004), SAME, "FAIL"),
        (Difference(-0.0003, -0.0004, -0.00025), SAME, "FAIL"),
        (Difference(0.0003, -0.0001, 0.0006), SAME, "PASS"),  # not sure
        (Difference(0.00002, 0.00001, 0.00003), SAME, "PASS"),  # sure, and too small
        (Difference(0.0003, 0.00025, 0.0004), Difference(0.0003, 0.0002, 0.0004), "INCONCLUSIVE"),
        (SAME, Difference(0.0, -0.002, 0.002), "INCONCLUSIVE"),
    ],
)
def test_a_difference_counts_if_it_is_sure_large_and_not_the_machines(found, control, verdict):
    assert judge_difference(found, control).verdict == verdict


def test_a_better_guess_has_all_but_the_last_letters_and_a_worse_one_none():
    public, _, secret = TOKEN.rpartition(".")
    better, worse = better_guess(TOKEN), worse_guess(TOKEN)
    assert (better[:-4], len(better)) == (TOKEN[:-4], len(TOKEN))
    assert better[-4:] != TOKEN[-4:]
    assert worse.startswith(f"{public}.")
    assert len(worse) == len(TOKEN)
    assert worse[len(public) + 1] != secret[0]
    assert worse_guess("opaque")[0] != "o"
