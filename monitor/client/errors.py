"""What can go wrong between a program and the monitor, and which of it ends the attempt.

A `LinkLostError` is followed by another attempt; every other error here is final.
"""

from monitor.contract.verdicts import ExitCode, WsproofError


class ClientError(WsproofError):
    """The monitor cannot be used. Base of all errors of `monitor.client`."""

    exit_code = ExitCode.NO_VERDICT


class LinkLostError(ClientError):
    """The connection could not be made, or ended; trying again is right.

    `retry_after_s` is how long the monitor asked to be left alone (0.0: it did not say);
    `close_code` is the WebSocket close code, None if there was none.
    """

    def __init__(
        self, text: str, *, retry_after_s: float = 0.0, close_code: int | None = None
    ) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s
        self.close_code = close_code


class UnreachableError(ClientError):
    """No connection within the time the caller allowed."""


class UnauthorizedError(ClientError):
    """The monitor does not accept the token (HTTP 401, close code 4401)."""

    exit_code = ExitCode.USAGE


class ForbiddenError(ClientError):
    """The token is good but does not allow this (HTTP 403, close code 4403)."""

    exit_code = ExitCode.USAGE


class ProtocolError(ClientError):
    """What answers at the address does not speak the monitor's protocol."""

    exit_code = ExitCode.USAGE
