"""Frames that RFC 6455 forbids: the connection must be failed, and nothing come of them."""

from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.check import Claim, check
from securitytests.judging import Judgement, verdict_of
from securitytests.probe.client import publication
from securitytests.probe.frames import Opcode, encode_frame
from securitytests.probe.peer import Ending

#: How long failing a connection may take.
PROMPTLY_S = 2.0

#: RFC 6455 section 7.4.1: a protocol error.
PROTOCOL_ERROR = 1002


def failed(ending: Ending, code: int) -> Judgement:
    """Judge that the connection was failed: a server need not say the code, but no other."""
    gone = ending.ended and ending.code in {None, code}
    return verdict_of(gone, f"the connection failed, with {code} if any code", str(ending))


@check(
    id="FR1",
    title="An unmasked frame fails the connection",
    claim=Claim.DENIAL_OF_SERVICE,
    severity=Severity.MEDIUM,
    references=("RFC6455-5.1",),
    remediation="Let a conforming library parse frames, and end the connection on its errors.",
    cost_s=0.5,
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
