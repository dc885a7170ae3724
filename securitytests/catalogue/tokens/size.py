"""What an oversized token costs the service that refuses it."""

import json

from monitor.contract.profile import Method
from monitor.contract.promises import Answer
from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.check import Claim, check
from securitytests.judging import UNREADABLE, Judgement, closed, either, refused, verdict_of
from securitytests.probe import jws
from securitytests.probe.frames import encode_frame

#: Characters of the tokens shown: a usual one, and one each way might carry.
_SMALL_CHARS = 400
_LARGE_CHARS: dict[Method, int] = {"query": 7_500, "header": 7_500, "message": 60_000}

#: How often each is timed, and how much longer the fastest refusal of a large one may take.
_SAMPLES = 5
_EFFECT_MS = 60.0

#: By how much the service's memory may grow meanwhile.
_GROWTH_BYTES = 16 * 2**20


@check(
    id="TK10",
    title="An oversized token is refused at bounded cost",
    claim=Claim.UNAUTHORIZED,
    severity=Severity.HIGH,
    references=("CWE-400",),
    remediation="Look at a token's length before anything else, and bound what strangers may send.",
    cost_s=1.5,
    tier="destructive",
    alone=True,
)
async def oversized(bench: Bench) -> None:
    """Whoever verifies a token works for somebody he does not know yet.

    By each way of authenticating tokens of 7,500 characters (60,000 in a message) in five shapes
    that parsers dislike are shown in turn with small ones: the fastest refusal of a large one may
    take 60 ms longer, and the service's memory may grow by 16 MiB. A first message that announces
    more than `promises.max_message_bytes` must be closed as `answers.too_big` says before it has
    come. An honest client must be served meanwhile.
    """
    expected = either(bench.answer("unauthenticated"), UNREADABLE, bench.answer("too_big"))
    async with bench.watching("oversized_tokens") as seen:
        for method in bench.methods:
            for name in SHAPES:
                with bench.variant(f"{method}, {name}"):
                    large = shaped(name, _LARGE_CHARS[method])
                    small = shaped(name, _SMALL_CHARS)
                    bench.judge(*await _compared(bench, method, small, large, expected))
        if "message" in bench.methods:
            with bench.variant("message, announced only"):
                await _announced(bench)
    with bench.variant("memory"):
        growth = seen.rss_growth_bytes
        if growth is not None:
            bench.judge(
                verdict_of(
                    growth <= _GROWTH_BYTES,
                    f"at most {_GROWTH_BYTES / 1e6:.0f} MB more",
                    f"{growth / 1e6:.1f} MB more",
                )
            )
    with bench.variant("an honest client"):
        bench.judge(verdict_of(not seen.canary_lost, "served", seen.canary_lost or "served"))


async def _compared(
    bench: Bench, method: Method, small: str, large: str, expected: Answer
) -> tuple[Judgement, ...]:
    """Judge the refusal of a large token, and its duration against that of a small one."""
    took: dict[str, list[float]] = {small: [], large: [], f"{small}.": []}
    refusals: list[Judgement] = []
    for _ in range(_SAMPLES):
        for token, times in took.items():
            started = bench.now()
            attempt = await bench.attempt(token, method)
            times.append(bench.now() - started)
            refusals.append(refused(attempt, expected))
    first, beyond, again = (1000 * min(times) for times in took.values())
    if abs(first - again) > _EFFECT_MS:
        bench.cannot_tell(f"small tokens took {first:.0f} and {again:.0f} ms")
    allowed = max(first, again) + _EFFECT_MS
    return (
        *refusals,
        verdict_of(beyond <= allowed, f"refused within {allowed:.0f} ms", f"{beyond:.0f} ms"),
    )


async def _announced(bench: Bench) -> None:
    """Announce a first message beyond every limit, send its beginning, and wait for the end."""
    largest = int(bench.promised("max_message_bytes"))
    peer = await bench.connect()
    await peer.request(bench.handshake_request())
    beginning = encode_frame(b'{"token":"aaaa', declared_length=largest + 1)
    await peer.send(beginning, f"the beginning of a message of {largest + 1} bytes")
    ending = await peer.until_end(bench.promises.tolerance_s)
    bench.judge(closed(ending, bench.answer("too_big")))


SHAPES = ("letters", "dots", "a large header", "a deep header", "a good beginning")


def shaped(shape: str, size: int) -> str:
    """Return a token of about this many characters."""
    content = size * 3 // 4 - 60
    match shape:
        case "letters":
            return "a" * size
        case "dots":
            return "a." * (size // 2)
        case "a large header":
            head = jws.encode_segment(json.dumps({"alg": "HS256", "kid": "k" * content}).encode())
        case "a deep header":
            head = jws.encode_segment(b'{"alg":' + b"[" * content)
        case _:
            head = jws.encode_segment(b'{"alg":"HS256","typ":"JWT"}')
            return f"{head}.{jws.encode_segment(b'[' * (content - 60))}.{'A' * 43}"
    return f"{head}.e30.{'A' * 43}"
