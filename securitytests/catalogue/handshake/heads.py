"""Requests whose head is too large, too costly, or of two lengths at once."""

import msgspec

from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.check import Claim, check
from securitytests.judging import Judgement, verdict_of
from securitytests.probe.http import Request
from securitytests.probe.peer import Handshake
from securitytests.timing import fastest_each

#: A number and a size no honest client comes near.
_MANY_HEADERS = 2_000
_LONG_LINE_BYTES = 256 * 1024

#: Sizes of one header value; most services refuse a line of more than 8 KiB.
_SIZES_BYTES = (1_000, 2_000, 4_000, 7_500)

#: How often each is timed, and the least time that counts as an effect.
_SAMPLES = 5
_EFFECT_S = 0.05


@check(
    id="HS7",
    title="Two thousand headers, or one enormous line, are refused",
    claim=Claim.UNAUTHORIZED,
    severity=Severity.MEDIUM,
    references=("CWE-400", "RFC6585-5"),
    remediation="Bound the number of header fields and the bytes of a line before parsing them.",
    cost_s=0.5,
    tier="destructive",
)
async def oversized_heads(bench: Bench) -> None:
    """What a server keeps of a request head it keeps before it knows who is asking.

    With valid credentials a handshake is sent with 2,000 header fields, with one of 256 KiB, with
    a name and a query of that size: each must be answered with HTTP 4xx. A service that hangs up
    while it is still being sent more has refused as well. It must live on.
    """
    credentials = bench.credentials(await bench.token("subscribe"))
    good = bench.handshake_request(credentials)
    joint = "&" if "?" in good.target else "?"
    filler = "a" * _LONG_LINE_BYTES
    heads = {
        "2,000 headers": good.with_headers(*((f"X-{n}", "a") for n in range(_MANY_HEADERS))),
        "one enormous value": good.with_header("X-Audit", filler),
        "one enormous name": good.with_header(filler, "a"),
        "an enormous query": msgspec.structs.replace(
            good, target=f"{good.target}{joint}audit={filler}"
        ),
    }
    for name, request in heads.items():
        with bench.variant(name):
            bench.judge(_refused_head(await bench.ask(request)))


def _refused_head(answer: Handshake) -> Judgement:
    return verdict_of(
        _hung_up(answer) or 400 <= (answer.status or 0) < 500,
        "HTTP 4xx, or hung up",
        str(answer),
    )


def _hung_up(answer: Handshake) -> bool:
    """Tell whether the service ended the connection without a word."""
    return answer.response is None and "in time" not in answer.instead


@check(
    id="HS8",
    title="Growing Protocol and Extensions headers cost at most linearly",
    claim=Claim.UNAUTHORIZED,
    severity=Severity.MEDIUM,
    references=("ASVS-1.3.12", "CWE-1333"),
    remediation="Parse lists with a scanner that never goes back, and bound their length first.",
    cost_s=1.0,
    tier="destructive",
    alone=True,
)
async def linear_negotiation(bench: Bench) -> None:
    """Lists that are parsed by patterns with two ways to match can cost the square of their length.

    Handshakes with Sec-WebSocket-Protocol and Sec-WebSocket-Extensions of 1,000 to 7,500 bytes,
    in five shapes that such patterns dislike, are timed in turn, the fastest of five. The largest
    may take no more than its size in proportion to the smallest, and 50 ms. The same shape timed
    twice must agree within that, or the machine is too busy to tell.
    """
    credentials = bench.credentials(await bench.token("subscribe"))
    for header in ("Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"):
        for name, shape in _SHAPES.items():
            with bench.variant(f"{header}, {name}"):
                requests = [
                    bench.handshake_request(
                        credentials, [(header, (shape * size)[: size - 1] + "!")]
                    )
                    for size in (_SIZES_BYTES[0], *_SIZES_BYTES)
                ]
                control, *times = await fastest_each(bench, requests, _SAMPLES)
                if abs(control - times[0]) > _EFFECT_S:
                    bench.cannot_tell(f"the same took {control:.3f} and {times[0]:.3f} s")
                allowed = times[0] * _SIZES_BYTES[-1] / _SIZES_BYTES[0] + _EFFECT_S
                bench.judge(
                    verdict_of(
                        times[-1] <= allowed,
                        f"{_SIZES_BYTES[-1]} bytes within {allowed * 1000:.0f} ms",
                        ", ".join(f"{time * 1000:.1f}" for time in times) + " ms",
                    )
                )


_SHAPES = {
    "one token": "a",
    "commas": ",",
    "blanks": "a ",
    "parameters": "a;",
    "quotes": 'a="\\',
}


@check(
    id="HS9",
    title="Content-Length with Transfer-Encoding is refused",
    claim=Claim.UNAUTHORIZED,
    severity=Severity.HIGH,
    references=("ASVS-4.2.1", "CWE-444", "RFC9112-6.3"),
    remediation="Refuse a handshake that has a body, and any request that states two lengths.",
    cost_s=0.3,
    tier="destructive",
)
async def two_lengths(bench: Bench) -> None:
    """Two lengths are read differently by a proxy and by the server behind it.

    What one takes for a body is the next request to the other, made with somebody else's rights.
    A handshake with valid credentials states both Content-Length and Transfer-Encoding, in
    several spellings, or two different lengths, and carries a second request as its body. It must
    be answered with HTTP 4xx or 501, once, or not at all, and never upgraded.
    """
    credentials = bench.credentials(await bench.token("subscribe"))
    good = bench.handshake_request(credentials)
    behind = bench.page_request("/smuggled").encode()
    chunk = b"0\r\n\r\n"
    length = ("Content-Length", str(len(chunk) + len(behind)))
    chunked = ("Transfer-Encoding", "chunked")
    variants: dict[str, tuple[tuple[str, str], ...]] = {
        "both": (length, chunked),
        "both, the other way round": (chunked, length),
        "both, another case": (("content-length", length[1]), ("transfer-encoding", "CHUNKED")),
        "both, an unknown encoding": (length, ("Transfer-Encoding", "xchunked")),
        "two lengths": (length, ("Content-Length", "0")),
        "a length that is no number": (("Content-Length", "+0"), chunked),
    }
    for name, headers in variants.items():
        with bench.variant(name):
            request = msgspec.structs.replace(good.with_headers(*headers), body=chunk + behind)
            bench.judge(await _once_refused(bench, request))


async def _once_refused(bench: Bench, request: Request) -> Judgement:
    peer = await bench.connect()
    answer = await peer.request(request)
    if not (_hung_up(answer) or 400 <= (answer.status or 0) < 500 or answer.status == 501):
        return verdict_of(False, "HTTP 4xx or 501, or hung up", str(answer))
    second = await peer.answer(0.2)
    peer.stream.close()
    return verdict_of(second.response is None, "one answer", f"{answer}, then {second}")
