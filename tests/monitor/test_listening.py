"""What a connection holds is given back before its peer can see that the server let go."""

import asyncio
import socket
import ssl

import pytest
import uvloop

from monitor.listening import SecureListener
from tests.certificates import self_made

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


class Held(asyncio.Protocol):
    """A connection that notes whether its peer, at the time it is given back, saw the end."""

    def __init__(self, peer):
        self.peer = peer
        self.told = []
        self.over = asyncio.Event()
        self.begun = asyncio.Future()

    def accepted(self, _peer, abandon):
        self.begun.set_result(abandon)

    def connection_lost(self, _exc):
        if not self.told:
            try:
                self.told.append(self.peer.recv(1))
            except BlockingIOError:
                self.told.append("nothing")
        self.over.set()


async def given_back(context, let_go):
    """Return what the peer had seen when its connection was given back, and what it saw then."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as peer:
        held = Held(peer)
        listener = SecureListener(
            listening,
            lambda: held,
            context,
            handshake_timeout_s=60,
            shutdown_timeout_s=1,
        )
        listener.start(1)
        peer.setblocking(False)
        await loop.sock_connect(peer, listening.getsockname())
        await let_go(held, peer)
        await held.over.wait()
        try:
            end = await loop.sock_recv(peer, 100)
        except ConnectionResetError:  # words of its own were not read yet
            end = b""
        listener.close()
        return held.told, end


async def abandoned(held, _peer):
    abandon = await held.begun
    abandon()


async def abandoned_under_way(held, peer):
    client = ssl.MemoryBIO()
    offer = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), client, server_hostname="a")
    with pytest.raises(ssl.SSLWantReadError):
        offer.do_handshake()
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(peer, client.read()[:50])
    await abandoned(held, peer)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("let_go", [abandoned, abandoned_under_way])
def test_what_is_held_is_given_back_before_the_peer_sees_the_end(let_go, loop, tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*self_made(tmp_path))
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        told, end = runner.run(asyncio.wait_for(given_back(context, let_go), 30))
    assert told == ["nothing"]
    assert end == b""
