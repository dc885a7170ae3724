"""Who a token speaks for, now: signature, claims, revocation. Follows the state folder's files."""

from collections.abc import Callable

from monitor.keys import KeyFile, load_or_create_keys
from monitor.registry import Revocations
from monitor.statefolder import StateFolder
from monitor.tokens import Grant, TokenError, TokenFault, verify


class Authority:
    """Verifies tokens against the keys and the table of revocations in the state folder.

    Args:
        wall: Unix seconds.
    """

    def __init__(self, state: StateFolder, wall: Callable[[], float]) -> None:
        load_or_create_keys(state.keys)
        self._keys = KeyFile(state.keys)
        self._revocations = Revocations(state.tokens)
        self._wall = wall
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
        """Tell whether a grant verified earlier has been revoked since."""
        return self._revocations.refuses(grant)

    def poll(self) -> bool:
        """Take up changes of the files; tell whether grants should be looked at again."""
        self._keys.poll()
        return self._revocations.poll()
