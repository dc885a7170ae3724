"""Coming in with compression agreed to."""

from securitytests.bench import Bench
from securitytests.probe.client import Client, NotServedError
from securitytests.probe.deflate import Inflater
from securitytests.probe.peer import Peer
from securitytests.probe.stream import PATIENCE_S

_OFFER = ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")


async def compressing(
    bench: Bench, token: str | None, *, source: str | None = None, authenticated: bool = True
) -> Peer:
    """Return a peer that may send compressed messages; not `authenticated`: who shows no token.

    Raises:
        NotServedError: the service did not let it in.
        CannotTellError: the service did not agree to compression, though the variant is for that.
    """
    credentials = bench.credentials(token)
    peer = await bench.connect(source)
    shown = credentials if authenticated else None
    handshake = await peer.request(bench.handshake_request(shown, [_OFFER]))
    if handshake.response is None or not handshake.upgraded:
        raise NotServedError(f"handshake: expected HTTP 101, got {handshake}")
    agreed = handshake.response.header("Sec-WebSocket-Extensions") or "no extension"
    if not agreed.startswith("permessage-deflate"):
        bench.cannot_tell(f"`variants.compression` answers an offer to compress with {agreed}")
    peer.inflater = Inflater()
    if authenticated:
        await Client(peer, bench.target).authenticate(credentials.message, PATIENCE_S)
    return peer
