"""Judgements of attempts: what counts as refused, and what merely gets nobody in."""

import pytest

from monitor.contract.promises import Answer
from monitor.contract.verdicts import Verdict
from securitytests.judging import UNREADABLE, Attempt, either, kept_out, refused
from securitytests.probe.http import Response
from securitytests.probe.peer import Ending, Handshake

UNAUTHENTICATED = Answer(status=(401,), close=(4401,), error="no")
UPGRADED = Handshake(Response(101, "Switching Protocols", ()))


def attempt(ending, *, accepted=False):
    return Attempt("header", UPGRADED, accepted, ending)


WAITING = attempt(Ending("silence", 0.5))
LET_IN = attempt(Ending("silence", 0.0), accepted=True)
CLOSED = attempt(Ending("close", 0.1, 4401))
RESET = attempt(Ending("reset", 0.1))
TURNED_AWAY = Attempt("header", Handshake(Response(401, "Unauthorized", ())), accepted=False)
HUNG_UP = Attempt("header", Handshake(None, "closed"), accepted=False)


@pytest.mark.parametrize(
    ("seen", "as_refused", "as_kept_out"),
    [
        (CLOSED, "PASS", "PASS"),
        (TURNED_AWAY, "PASS", "PASS"),
        (WAITING, "FAIL", "PASS"),
        (LET_IN, "FAIL", "FAIL"),
        (RESET, "FAIL", "FAIL"),
        (HUNG_UP, "FAIL", "FAIL"),
    ],
)
def test_who_is_left_waiting_is_kept_out_but_not_refused(seen, as_refused, as_kept_out):
    assert refused(seen, UNAUTHENTICATED).verdict is Verdict(as_refused)
    assert kept_out(seen, UNAUTHENTICATED).verdict is Verdict(as_kept_out)


def test_either_answer_will_do_and_none_stands_twice():
    joined = either(UNAUTHENTICATED, UNREADABLE, Answer(status=(400,)))
    assert joined == Answer(
        status=(401, 400, 413, 414, 431), close=(4401, 1002, 1007, 1009), error="no"
    )
