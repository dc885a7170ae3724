"""How long a refusal takes, by how much of the token was right."""

import itertools
import secrets
import string

from monitor.contract.profile import Method
from monitor.contract.verdicts import Severity, Verdict
from securitytests.bench import Bench
from securitytests.catalogue.authentication.presenting import good_token
from securitytests.check import check
from securitytests.judging import Judgement, verdict_of
from securitytests.probe.stream import PATIENCE_S
from securitytests.timing import Difference, difference

#: Rounds of three guesses for each way of authenticating: so many at most, and at least.
_ROUNDS = 150
_FEWEST_ROUNDS = 40

#: No further round begins after so many seconds.
_ENOUGH_S = 5.0

#: What a difference has to exceed: below, loopback and scheduler say as much as the service.
_EFFECT_S = 0.0001

#: A machine on which the same guess differs from itself by more cannot tell.
_BLURRED_S = 0.002

#: Characters at the end of a good token that the better guess gets wrong.
_WRONG_CHARS = 4

_ALPHABET = string.ascii_letters + string.digits


@check(
    id="SC1",
    title="Guessing the beginning of a token takes no measurably different time",
    claim=None,
    severity=Severity.LOW,
    references=("CWE-208",),
    remediation="Compare secrets whole and in constant time (`hmac.compare_digest`).",
    cost_s=4.0,
    tier="destructive",
    alone=True,
    gating=False,
)
async def guessed_beginnings(bench: Bench) -> None:
    """A comparison that ends at the first wrong letter tells how many were right.

    By each way of authenticating, in turn and each from an address of its own: a guess whose
    secret (of a JWT the signature) is right but for its last four letters, one that is wrong from
    the first letter, and another of those as an A/A control. Over up to 150 rounds the median of
    the paired differences is taken with its 99.9 % interval. It is a finding if the whole interval
    is beyond 0.1 ms; nothing can be told if the two wrong guesses differ by as much, or by an
    interval wider than 2 ms. It is reported and fails no audit: that no difference was measured
    here does not show that none can be measured.
    """
    if not bench.target.authentication.methods:
        bench.not_applicable("the service asks for no token")
    token = await good_token(bench)
    for method in bench.methods:
        with bench.variant(method):
            better, worse, again = await _timed(bench, token, method)
            control, found = difference(worse, again), difference(worse, better)
            bench.figures[f"{method}_rounds"] = len(worse)
            bench.figures[f"{method}_median_difference_ms"] = 1_000 * found.median_s
            bench.figures[f"{method}_least_difference_ms"] = 1_000 * found.least_s
            bench.figures[f"{method}_control_difference_ms"] = 1_000 * control.median_s
            bench.judge(judge_difference(found, control))


def judge_difference(found: Difference, control: Difference) -> Judgement:
    """Judge the difference between a better guess and a worse by that of two worse ones."""
    wanted = f"a difference of less than {1_000 * _EFFECT_S:g} ms"
    told = f"{found}; the same guess twice {control}"
    blurred = control.high_s - control.low_s > _BLURRED_S
    if blurred or control.least_s > _EFFECT_S:
        return Judgement(Verdict.INCONCLUSIVE, wanted, told)
    return verdict_of(found.least_s <= _EFFECT_S, wanted, told)


def better_guess(token: str) -> str:
    """Return the token with only its last letters wrong."""
    wrong = token[-_WRONG_CHARS:]
    while wrong == token[-_WRONG_CHARS:]:
        wrong = _letters(_WRONG_CHARS)
    return token[:-_WRONG_CHARS] + wrong


def worse_guess(token: str) -> str:
    """Return the token with all of its secret wrong, from the first letter on."""
    public, dot, secret = token.rpartition(".")
    guess = secret
    while guess[:1] == secret[:1]:
        guess = _letters(len(secret))
    return public + dot + guess


def _letters(count: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(count))


async def _timed(
    bench: Bench, token: str, method: Method
) -> tuple[list[float], list[float], list[float]]:
    """Return the seconds each kind of guess took, round by round; each begins in turn."""
    kinds = better_guess, worse_guess, worse_guess
    taken: tuple[list[float], list[float], list[float]] = [], [], []
    turns = itertools.cycle(itertools.permutations(range(len(kinds))))
    started = bench.now()
    for number in range(_ROUNDS):
        if number >= _FEWEST_ROUNDS and bench.now() - started > _ENOUGH_S:
            break
        for kind in next(turns):
            taken[kind].append(await _time_of_refusal(bench, kinds[kind](token), method))
    return taken


async def _time_of_refusal(bench: Bench, token: str, method: Method) -> float:
    """Return seconds from the last byte of the guess to the end of what is answered to it."""
    credentials = bench.credentials(token, method)
    peer = await bench.connect(bench.own_address())
    request = bench.handshake_request(credentials)
    if credentials.message is not None:
        await peer.request(request, body=False)
    started = bench.now()
    if credentials.message is None:
        answer = await peer.request(request, body=False)
        waiting = answer.upgraded
    else:
        await peer.send_text(credentials.message)
        waiting = True
    if waiting:
        ending = await peer.until_end(PATIENCE_S, stop_at=bench.target.authentication.accepted)
        if not ending.ended:
            bench.cannot_tell(f"a wrong token: {ending}")
    took = bench.now() - started
    peer.stream.close()
    return took
