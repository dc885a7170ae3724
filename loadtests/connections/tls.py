"""TLS without I/O: ciphertext in, plaintext out, and the other way round.

Reading stays reading: bytes are stamped when they come off the socket and deciphered afterwards,
so that the cost of TLS on our side delays no receipt.
"""

import ssl
from pathlib import Path

from monitor.contract.target import Target
from monitor.contract.verdicts import UsageError


def tls_context(target: Target) -> ssl.SSLContext | None:
    """Return how to verify this target, or None for one that is spoken to in the clear.

    Raises:
        UsageError: the authority's certificate cannot be read.
    """
    if not target.url.startswith("wss:"):
        return None
    if target.tls.authority is None:
        return ssl.create_default_context()
    path: Path = target.path.parent / target.tls.authority
    try:
        return ssl.create_default_context(cafile=str(path))
    except OSError as error:
        raise UsageError(
            f"target profile {target.path}: key `tls.authority`: {path} cannot be read as PEM"
            f" certificates: {error}"
        ) from error


class Tls:
    """One client's side of one TLS connection.

    `outgoing` collects what is to be written; after `fault` is set nothing more comes.
    """

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._in, self._out, server_hostname=host)
        self._early = b""
        self._open = False
        self.fault = ""
        self._advance()

    def read(self, ciphertext: bytes) -> bytes:
        """Take what came from the socket; return the plaintext it completes."""
        self._in.write(ciphertext)
        if not self._open:
            self._advance()
        if not self._open:
            return b""
        plain = bytearray()
        try:
            while chunk := self._object.read(65_536):
                plain += chunk
        except ssl.SSLWantReadError:
            pass  # all there is
        except ssl.SSLError as error:
            self.fault = self.fault or f"TLS failed: {error.reason or error}"
        return bytes(plain)

    def write(self, plaintext: bytes) -> None:
        """Encipher; what is written before the handshake is over goes out after it."""
        if self._open:
            self._object.write(plaintext)
        else:
            self._early += plaintext

    def outgoing(self) -> bytes:
        """Return the ciphertext that is to be sent, once."""
        return self._out.read()

    def _advance(self) -> None:
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return
        except ssl.SSLError as error:
            self.fault = f"TLS failed: {error.reason or error}"
            return
        self._open = True
        if self._early:
            self._object.write(self._early)
            self._early = b""
