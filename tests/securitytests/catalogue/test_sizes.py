"""A message of exactly the promised size: what shows that it was read, and what that it was not."""

import pytest

from monitor.contract.promises import Answer
from securitytests.catalogue.frames.size import read_whole
from securitytests.probe.peer import Ending

TOO_BIG = Answer(close=(1009,))
BAD_MESSAGE = Answer(close=(1007, 4400))


@pytest.mark.parametrize(
    ("ending", "verdict"),
    [
        (Ending("silence", 0.5), "PASS"),
        (Ending("silence", 0.1, texts=('{"error":"bad_message"}',)), "PASS"),
        (Ending("close", 0.1, 4400), "PASS"),
        (Ending("close", 0.1, 1009), "FAIL"),
        (Ending("close", 0.1, 1011), "FAIL"),
        (Ending("reset", 0.1), "FAIL"),
        (Ending("eof", 0.1), "FAIL"),
    ],
)
def test_only_a_bad_messages_end_is_allowed(ending, verdict):
    assert read_whole(ending, TOO_BIG, BAD_MESSAGE).verdict == verdict


def test_a_code_that_means_both_tells_of_the_size():
    both = Answer(close=(1008,))
    assert read_whole(Ending("close", 0.1, 1008), both, both).verdict == "FAIL"
    assert read_whole(Ending("close", 0.1, 1008), TOO_BIG, Answer()).verdict == "FAIL"
