"""Frames that RFC 6455 forbids: the connection must be failed, and nothing come of them."""

import asyncio

from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.check import Claim, check
from securitytests.judging import Judgement, verdict_of
from securitytests.probe.client import publication
from securitytests.probe.frames import Opcode, close_payload, encode_frame
from securitytests.probe.peer import ENDS, Ending

#: How long failing a connection may take.
PROMPTLY_S = 2.0

#: RFC 6455 section 7.4.1: a protocol error.
PROTOCOL_ERROR = 1002


def failed(ending: Ending, code: int) -> Judgement:
    """Judge that the connection was failed: a server need not say the code, but no other."""
    gone = ending.ended and ending.kind != "violation" and ending.code in {None, code}
    return verdict_of(gone, f"the connection failed, with {code} if any code", str(ending))


@check(
    id="FR1",
    title="An unmasked frame fails the connection",
    claim=Claim.DENIAL_OF_SERVICE,
    severity=Severity.MEDIUM,
    references=("RFC6455-5.1",),
    remediation="Let a conforming library parse frames, and end the connection on its errors.",
    cost_s=0.5,
    tier="gentle",
)
async def unmasked(bench: Bench) -> None:
    """Masking keeps a page from putting chosen bytes on the wire, to poison what stands between.

    A client sends one frame without a mask, as text, ping, close, and as an otherwise good
    publication. Each must fail the connection (1002 where a code is given), and no subscriber may
    receive the publication.
    """
    identifier = bench.mark()
    event = publication(bench.target, bench.event(identifier)).encode()
    frames = {
        "text": encode_frame(b"{}", mask=None),
        "publication": encode_frame(event, mask=None),
        "ping": encode_frame(b"", Opcode.PING, mask=None),
        "close": encode_frame(b"\x03\xe8", Opcode.CLOSE, mask=None),
    }
    subscriber = await bench.client()
    for name, frame in frames.items():
        with bench.variant(name):
            client = await bench.client("publish")
            await client.peer.send(frame, f"unmasked {name}")
            bench.judge(failed(await client.peer.until_end(PROMPTLY_S), PROTOCOL_ERROR))
    with bench.variant("publication, delivered"):
        heard = await subscriber.peer.until_text(identifier, 0.2)
        bench.judge(verdict_of(heard.kind != "text", "not delivered", heard.kind))


_LONG = b"x" * 126

_UTF8_CODE = 1007


@check(
    id="FR2",
    title="Reserved bits and opcodes, long or fragmented control frames fail the connection",
    claim=Claim.DENIAL_OF_SERVICE,
    severity=Severity.MEDIUM,
    references=("RFC6455-5.2", "RFC6455-5.4", "RFC6455-5.5"),
    remediation="Let a conforming library parse frames, and end the connection on its errors.",
    cost_s=1.5,
    tier="gentle",
)
async def reserved(bench: Bench) -> None:
    """What is reserved today means something tomorrow; guessing at it makes two readers differ.

    Each client sends one frame with a reserved bit, with a reserved opcode, a control frame of 126
    bytes or of two fragments, or fragments out of order. Each connection must fail, with 1002 if
    any code is given; a ping of 125 bytes must be answered.
    """
    frames = {f"reserved bit {bit}": encode_frame(b"{}", rsv=bit) for bit in (4, 2, 1)}
    for opcode in (*range(3, 8), *range(11, 16)):
        frames[f"opcode {opcode}"] = encode_frame(b"", opcode)
    frames |= {
        "ping of 126 bytes": encode_frame(_LONG, Opcode.PING),
        "close of 126 bytes": encode_frame(b"\x03\xe8" + _LONG[2:], Opcode.CLOSE),
        "fragmented ping": encode_frame(b"x", Opcode.PING, fin=False),
        "continuation of nothing": encode_frame(b"{}", Opcode.CONTINUATION),
        "text within a text": encode_frame(b"{", fin=False) + encode_frame(b"{}"),
    }
    await asyncio.gather(
        *(_failing(bench, name, frame, PROTOCOL_ERROR) for name, frame in frames.items())
    )
    with bench.variant("ping of 125 bytes"):
        peer = (await bench.client("publish")).peer
        await peer.send_frame(_LONG[:125], Opcode.PING)
        heard = await peer.receive(PROMPTLY_S)
        while heard.kind not in {"pong", "silence", *ENDS}:
            heard = await peer.receive(PROMPTLY_S)
        bench.judge(verdict_of(heard.kind == "pong", "a pong", heard.kind))


@check(
    id="FR3",
    title="Text that is not UTF-8 fails the connection",
    claim=Claim.DENIAL_OF_SERVICE,
    severity=Severity.MEDIUM,
    references=("RFC6455-8.1", "RFC6455-5.6"),
    remediation="Decode each whole text message strictly; fail the connection with 1007.",
    cost_s=1.0,
    tier="gentle",
)
async def not_utf8(bench: Bench) -> None:
    """Text that one reader repairs and another refuses is two texts.

    Bytes that are no UTF-8 (a lone byte, an overlong form, a surrogate, a character cut short) come
    in a text frame, in two fragments, and in the reason of a close. Each connection must fail, with
    1007 if any code is given. A character cut by two fragments is right, and must be taken.
    """
    wrong = {
        "lone byte": b"\xff",
        "overlong": b"\xc0\xaf",
        "surrogate": b"\xed\xa0\x80",
        "cut short": b"\xe2\x82",
        "beyond Unicode": b"\xf4\x90\x80\x80",
    }
    frames = {}
    for name, content in wrong.items():
        text = b'{"x":"' + content + b'"}'
        frames[f"{name}, one frame"] = encode_frame(text)
        frames[f"{name}, two fragments"] = encode_frame(text[:4], fin=False) + encode_frame(
            text[4:], Opcode.CONTINUATION
        )
    frames["reason of a close"] = encode_frame(b"\x03\xe8\xff", Opcode.CLOSE)
    await asyncio.gather(
        *(_failing(bench, name, frame, _UTF8_CODE) for name, frame in frames.items())
    )
    with bench.variant("character cut by two fragments"):
        peer = (await bench.client("publish")).peer
        whole = '{"x":"€"}'.encode()
        cut = whole.index("€".encode()) + 1
        await peer.send(
            encode_frame(whole[:cut], fin=False) + encode_frame(whole[cut:], Opcode.CONTINUATION),
            "a character cut in two",
        )
        ending = await peer.until_end(0.3)
        bench.judge(
            verdict_of(ending.code != _UTF8_CODE, "not refused for its encoding", str(ending))
        )


@check(
    id="FR4",
    title="Close codes that may not be sent are not taken",
    claim=Claim.DENIAL_OF_SERVICE,
    severity=Severity.LOW,
    references=("RFC6455-5.5.1", "RFC6455-7.4.1", "RFC6455-7.4.2"),
    remediation="Answer a close with an invalid code with 1002, and end the connection.",
    cost_s=1.0,
    tier="gentle",
)
async def close_codes(bench: Bench) -> None:
    """Codes that only an endpoint may report to itself must not be put into its mouth.

    Closes with a body of one byte and with codes that are unused or reserved must fail the
    connection, with 1002 if any code is given: none may be echoed. 1000 and 4999 must be.
    """
    frames = {"body of one byte": encode_frame(b"\x03", Opcode.CLOSE)}
    for code in (0, 999, 1004, 1005, 1006, 1015):
        frames[f"code {code}"] = encode_frame(close_payload(code), Opcode.CLOSE)
    await asyncio.gather(
        *(_failing(bench, name, frame, PROTOCOL_ERROR) for name, frame in frames.items())
    )
    for code in (1000, 4999):
        with bench.variant(f"code {code}, valid"):
            peer = (await bench.client("publish")).peer
            await peer.send_close(code)
            ending = await peer.until_end(PROMPTLY_S)
            bench.judge(
                verdict_of(
                    ending.ended and ending.code != PROTOCOL_ERROR,
                    "closed, and not as an error",
                    str(ending),
                )
            )


async def _failing(bench: Bench, name: str, frame: bytes, code: int) -> None:
    with bench.variant(name):
        client = await bench.client("publish")
        await client.peer.send(frame, name)
        bench.judge(failed(await client.peer.until_end(PROMPTLY_S), code))
