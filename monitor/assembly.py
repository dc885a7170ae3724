"""Puts the fragments of a message together (RFC 6455 section 5.4). Pure.

The WebSocket library bounds a message's bytes; here the number of its fragments is bounded, since
each costs time whatever its size.
"""


class TooManyFragmentsError(Exception):
    """A message came in more frames than one may."""


class Assembly:
    """One connection's message in the making.

    Args:
        max_fragments: most frames one message may come in.
    """

    __slots__ = ("_fragments", "_max_fragments", "_message")

    def __init__(self, max_fragments: int) -> None:
        self._max_fragments = max_fragments
        self._message: bytearray | None = None
        self._fragments = 0

    def add(self, data: bytes | bytearray | memoryview, *, final: bool) -> str | None:
        """Take a data frame's payload; return the text once it is whole, else None.

        Raises:
            TooManyFragmentsError: the message has more frames than allowed.
            UnicodeDecodeError: the message is not UTF-8.
        """
        if final and self._message is None:
            return str(data, "utf-8")
        message = self._message = bytearray() if self._message is None else self._message
        message += data
        self._fragments += 1
        if self._fragments > self._max_fragments:
            raise TooManyFragmentsError
        if not final:
            return None
        self._message, self._fragments = None, 0
        return str(message, "utf-8")
