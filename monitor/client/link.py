"""One authenticated connection to the monitor: open it, exchange messages, know why it ended.

Turns every way a connection can fail into the errors of `monitor.client.errors`. It never tries
again by itself. The token travels in the `Authorization` header and appears in no log or error.
"""

import asyncio
import ipaddress
import itertools
import logging
import re
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidStatus,
    InvalidURI,
    WebSocketException,
)

from monitor.client.errors import (
    ClientError,
    ForbiddenError,
    LinkLostError,
    ProtocolError,
    UnauthorizedError,
)
from monitor.client.messages import (
    AuthOk,
    AuthRequired,
    CloseCode,
    ErrorCode,
    Message,
    Refusal,
    ServerShutdown,
    Unknown,
    decode,
    request,
)
from monitor.contract.verdicts import UsageError

#: Where a monitor listens unless told otherwise.
DEFAULT_URL = "ws://localhost:4001"
#: Longest wait for a handshake, for `auth_ok`, and for the answer to a message.
ANSWER_TIMEOUT_S = 10.0

#: A text, or a function that returns a fresh one for each connection (called on the network
#: thread: it must be quick).
Token = str | Callable[[], str] | None

# At DEBUG, websockets logs handshake headers, the token among them: never below INFO here.
_logger = logging.getLogger("monitor.client.websocket")
_logger.setLevel(logging.INFO)

_ENDS = {CloseCode.UNAUTHORIZED: UnauthorizedError, CloseCode.FORBIDDEN: ForbiddenError}
_REFUSED = {401: UnauthorizedError, 403: ForbiddenError}
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
#: What a header can carry of a token (https://www.rfc-editor.org/rfc/rfc6750#section-2.1).
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
#: Characters of what a refusal says of itself that are shown at most.
_LONGEST_DETAIL = 80


class _Problem(msgspec.Struct):
    detail: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the monitor is and what to show it.

    Raises:
        UsageError: the URL is not `ws://HOST` or `wss://HOST`, or carries credentials.
    """

    url: str
    token: Token = field(default=None, repr=False)

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            sound = parts.scheme in {"ws", "wss"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            sound = False
            parts = urlsplit("")
        if not sound:
            raise UsageError(f"monitor {self.url!r}: expected a URL such as {DEFAULT_URL}")
        if parts.password or any(name == "token" for name, _ in parse_qsl(parts.query)):
            raise UsageError(
                f"monitor {parts.scheme}://{parts.hostname}: the URL carries a credential, and"
                " URLs end up in logs; pass the token by itself"
            )

    @property
    def silent_url(self) -> str:
        """The URL that leaves the connection silent until it subscribes."""
        parts = urlsplit(self.url)
        query = urlencode([*parse_qsl(parts.query), ("stream", "off")])
        return urlunsplit(parts._replace(path=parts.path or "/", query=query))

    @property
    def is_loopback(self) -> bool:
        """Whether the host is this machine, by its name or number."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost" or host.endswith(".localhost")

    def reveal_token(self) -> str | None:
        """Return the token to present now, without the white space around it that files have.

        Raises:
            LinkLostError: the function that should return one failed; it may not next time.
            UnauthorizedError: it has characters that no token has.
        """
        token = self._ask_for_token()
        if token is None:
            return None
        token = str(token).strip()
        if not _TOKEN.fullmatch(token):
            raise UnauthorizedError(
                f"monitor {self.url}: the token is empty, or has characters that no token has; give"
                " it as it was issued"
            )
        return token

    def _ask_for_token(self) -> str | None:
        if not callable(self.token):
            return self.token
        try:
            token = self.token()
        except Exception as error:  # noqa: BLE001 - the program's own function; its text may be secret
            raise LinkLostError(
                f"monitor {self.url}: the function that returns the token failed with"
                f" {type(error).__name__}"
            ) from None
        if not isinstance(token, str):
            raise LinkLostError(
                f"monitor {self.url}: the function that returns the token returned"
                f" {type(token).__name__}, not a text"
            )
        return token


class Link:
    """An authenticated connection. `grant` is what the monitor said of the token.

    One task at a time receives; any may send. `lost` is how it ended, once it has.
    """

    def __init__(self, endpoint: Endpoint, connection: ClientConnection) -> None:
        self.endpoint = endpoint
        self.grant: AuthOk | None = None
        self.lost: LinkLostError | None = None
        self._connection = connection
        self._references = itertools.count(1)
        self._retry_after_s = 0.0

    def reference(self) -> int:
        """Return a `ref` not used before on this connection."""
        return next(self._references)

    async def send(self, message: bytes) -> None:
        """Send one message.

        Raises:
            LinkLostError: the connection ended.
            UnauthorizedError, ForbiddenError: it ended for that reason.
        """
        try:
            await self._connection.send(message, text=True)
        except ConnectionClosed as closed:
            raise self._why(closed) from None

    async def receive(self) -> Message:
        """Return the next message. Cancelling loses none.

        Raises:
            LinkLostError, UnauthorizedError, ForbiddenError: as for `send`.
            ProtocolError: what came is not a message of a monitor.
        """
        while True:
            try:
                message = decode(await self._connection.recv(decode=False))
            except ConnectionClosed as closed:
                raise self._why(closed) from None
            if isinstance(message, (Refusal, ServerShutdown)):
                self._retry_after_s = message.retry_after or 0.0
            if not isinstance(message, Unknown):
                return message

    async def answer(self, ref: int) -> Message:
        """Return the reply that carries `ref`, passing over what else arrives before it.

        Raises:
            LinkLostError: none came in time, or the connection ended.
            UnauthorizedError, ForbiddenError: it ended for that reason.
        """
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                while True:
                    message = await self.receive()
                    # What cannot be decoded is refused without its `ref`.
                    unnamed = isinstance(message, Refusal) and message.ref is None
                    if unnamed or getattr(message, "ref", None) == ref:
                        return message
        except TimeoutError:
            raise self.give_up(f"no answer within {ANSWER_TIMEOUT_S:g} s") from None

    async def receive_or_ping(self) -> Message:
        """Return the next message as `receive` does, pinging often enough not to be idle."""
        quiet_s = self.quiet_s
        while True:
            try:
                async with asyncio.timeout(quiet_s):
                    return await self.receive()
            except TimeoutError:
                await self.ping()

    @property
    def quiet_s(self) -> float | None:
        """How long this client may stay silent before it should ping; None: as long as it likes."""
        return None if self.grant is None else self.grant.idle_timeout / 2 or None

    def give_up(self, why: str, retry_after_s: float = 0.0) -> LinkLostError:
        """Return the error that ends the use of this link and makes way for the next."""
        self.lost = LinkLostError(
            f"monitor {self.endpoint.url}: {why}", retry_after_s=retry_after_s
        )
        return self.lost

    async def ping(self) -> None:
        """Tell the monitor this client is not idle. The `pong` arrives like any message."""
        await self.send(request("ping", self.reference()))

    async def close(self) -> None:
        """Close the connection; idempotent."""
        await self._connection.close()

    def _why(self, closed: ConnectionClosed) -> ClientError:
        code = closed.rcvd.code if closed.rcvd is not None else None
        reason = closed.rcvd.reason if closed.rcvd is not None else ""
        said = f": {reason}" if reason else ""
        how = "the connection broke off" if code is None else f"closed with {code}{said}"
        text = f"monitor {self.endpoint.url}: {how}"
        # An expired token ends the link, but a callable token yields a fresh one for the next.
        renewable = code == CloseCode.UNAUTHORIZED and callable(self.endpoint.token)
        if code in _ENDS and not (renewable and self.grant is not None):
            return _ENDS[CloseCode(code)](text)
        self.lost = LinkLostError(text, retry_after_s=self._retry_after_s, close_code=code)
        return self.lost


async def open_link(endpoint: Endpoint) -> Link:
    """Connect and authenticate.

    Raises:
        LinkLostError: not now; another attempt may succeed.
        UnauthorizedError, ForbiddenError, ProtocolError: no attempt like this one will.
    """
    link = Link(endpoint, await _connect(endpoint))
    try:
        link.grant = await _authenticated(link)
    except BaseException:
        await link.close()
        raise
    return link


async def _connect(endpoint: Endpoint) -> ClientConnection:
    token = endpoint.reveal_token()
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        return await connect(
            endpoint.silent_url,
            additional_headers=headers,
            compression=None,
            # A proxy of the environment is meant for other machines than this one.
            proxy=None if endpoint.is_loopback else True,
            open_timeout=ANSWER_TIMEOUT_S,
            close_timeout=1,
            logger=_logger,
        )
    except InvalidStatus as refused:
        raise _refused(endpoint, refused) from None
    except (OSError, EOFError, WebSocketException) as error:
        foreign = isinstance(error, (InvalidURI, InvalidHandshake))
        if foreign and not _broke_off(error):
            raise ProtocolError(
                f"monitor {endpoint.url}: what answers there is no WebSocket service ({error})"
            ) from None
        raise LinkLostError(
            f"monitor {endpoint.url}: no connection ({_brief(error)}); {_advice(error)}"
        ) from None


async def _authenticated(link: Link) -> AuthOk:
    url = link.endpoint.url
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            first = await link.receive()
            while isinstance(first, Refusal) and first.code != ErrorCode.UNAUTHORIZED:
                first = await link.receive()  # the close that follows says what it means
    except TimeoutError:
        raise ProtocolError(
            f"monitor {url}: expected `auth_ok` first, got nothing for {ANSWER_TIMEOUT_S:g} s;"
            " is this address a wsproof monitor?"
        ) from None
    if isinstance(first, AuthOk):
        return first
    if isinstance(first, AuthRequired):
        raise UnauthorizedError(f"monitor {url}: it wants a token and none was given")
    if isinstance(first, Refusal):
        raise UnauthorizedError(f"monitor {url}: the token was refused: {first.message}")
    raise ProtocolError(f"monitor {url}: expected `auth_ok` first, got {type(first).__name__}")


def _refused(endpoint: Endpoint, refused: InvalidStatus) -> ClientError:
    response = refused.response
    status = response.status_code
    if status in _TRY_AGAIN:
        wait_s = _seconds(response.headers.get("Retry-After", ""))
        when = f"; try again in {wait_s:g} s" if wait_s else ""
        why = _detail(response.body) or "not now"
        text = f"monitor {endpoint.url}: {why} (HTTP {status}){when}"
        return LinkLostError(text, retry_after_s=wait_s)
    kind = _REFUSED.get(status, ProtocolError)
    if kind is UnauthorizedError:
        return kind(
            f"monitor {endpoint.url}: the token was refused (HTTP 401): it may have expired"
        )
    where = "; a monitor's WebSocket is at the path /" if status == HTTPStatus.NOT_FOUND else ""
    return kind(f"monitor {endpoint.url}: refused the connection (HTTP {status}){where}")


def _broke_off(error: BaseException | None) -> bool:
    """Tell whether a handshake failed because the connection ended in the middle of it."""
    while error is not None:
        if isinstance(error, (EOFError, OSError)):
            return True
        error = error.__cause__
    return False


def _seconds(text: str) -> float:
    """Return a Retry-After in seconds; 0.0 if it is absent or a date (RFC 9110 section 10.2.3)."""
    return float(text) if text.isascii() and text.isdigit() else 0.0


def _detail(body: bytes | bytearray | None) -> str:
    """Return what a problem (RFC 9457) says of itself, if it says something fit to be shown."""
    try:
        detail = msgspec.json.decode(body or b"", type=_Problem).detail
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return detail if detail.isprintable() and len(detail) <= _LONGEST_DETAIL else ""


def _advice(error: BaseException) -> str:
    """Return what to look at after such an error."""
    if isinstance(error, socket.gaierror):
        return "is the name right?"
    if isinstance(error, ssl.SSLCertVerificationError):
        return "SSL_CERT_FILE names the authorities to trust"
    if isinstance(error, ssl.SSLError) and error.reason == "WRONG_VERSION_NUMBER":
        return "does it speak TLS? The URL of one that does not begins with ws://"
    return "is it running? `wsproof serve` starts one"


def _brief(error: BaseException) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, socket.gaierror):
        return (error.strerror or str(error)).lower()
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or str(error)).replace('_', ' ').lower()}"
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    return str(error) or type(error).__name__
