"""Who a token speaks for, now: signature, claims, revocation. Follows the state folder's files."""

import logging
from collections.abc import Callable

from monitor.contract.verdicts import WsproofError
from monitor.keys import KeyFile, load_or_create_keys
from monitor.registry import Registry, Revocations
from monitor.statefolder import StateFolder
from monitor.tokens import Grant, TokenError, TokenFault, end_of, verify

log = logging.getLogger("monitor.authority")


class Authority:
    """Verifies tokens against the keys and the table of revocations in the state folder.

    Args:
        wall: Unix seconds.
    """

    def __init__(self, state: StateFolder, wall: Callable[[], float]) -> None:
        load_or_create_keys(state.keys)
        Registry(state.tokens).close()  # there from the start: nothing need be opened later
        self._keys = KeyFile(state.keys)
        self._revocations = Revocations(state.tokens)
        self._wall = wall
        self._failures: dict[str, str] = {}
        self._revocations.poll()

    def verify(self, token: str) -> Grant:
        """Return what the token grants now.

        Raises:
            TokenError: it is not valid, is revoked, or its subject is disabled.
        """
        grant = verify(self._keys.table, token, self._wall())
        if self._revocations.refuses(grant):
            raise TokenError(TokenFault.REVOKED)
        return grant

    def refuses(self, grant: Grant) -> bool:
        """Tell whether a grant verified earlier was revoked since, or its key dropped."""
        return self._revocations.refuses(grant) or self.end_of(grant) <= self._wall()

    def end_of(self, grant: Grant) -> float:
        """Return until when (Unix s) a grant verified earlier holds with the keys as they are."""
        return end_of(self._keys.table, grant)

    def poll(self) -> bool:
        """Take up changes of the files; tell whether grants should be looked at again.

        Neither file waits for the other: one that cannot be used stays as it was, and is told
        once until what is wrong with it changes.
        """
        revoked = self._follow("revocations", self._revocations.poll)
        return self._follow("keys", self._keys.poll) or revoked

    def _follow(self, what: str, poll: Callable[[], bool]) -> bool:
        try:
            changed = poll()
        except WsproofError as error:
            if self._failures.get(what) != str(error):
                log.error("%s stay as they were: %s", what, error)  # noqa: TRY400 - no defect
            self._failures[what] = str(error)
            return False
        if self._failures.pop(what, None) is not None:
            log.info("%s are followed again", what)
        return changed
