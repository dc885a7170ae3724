"""Flaws of what becomes of control characters in logs and events."""

import json
import sys
from collections.abc import Callable
from typing import Any

from securitytests.check import Claim
from securitytests.mutants import verifying
from securitytests.mutants.patch import Patch
from securitytests.mutants.registry import mutant

_ACCEPT = "monitor.events:accept"
_FORMAT = "monitor.logs:TextFormatter.format"
_MESSAGE = "neutralise(record.getMessage())"


def _log_paths(patch: Patch) -> None:
    """Log the path of each page, decoded."""
    patch.text(
        "monitor.admission:Admissions._page",
        "return self._pages.answer(asked.path)",
        "log.info('page %s', __import__('urllib.parse').parse.unquote(asked.path))\n"
        "    return self._pages.answer(asked.path)",
    )


@mutant(claim=Claim.NO_LEAKS, caught_by=("LK5",), may=("AU10", "LK*"))
def log_lines_as_they_come(patch: Patch) -> None:
    """The log has the decoded path of each page as it came."""
    _log_paths(patch)
    patch.text(_FORMAT, _MESSAGE, "record.getMessage()")


@mutant(claim=Claim.NO_LEAKS, caught_by=("LK5",), may=("AU10", "LK*"))
def only_line_ends_are_replaced(patch: Patch) -> None:
    """The log replaces line ends, and leaves escape sequences."""
    _log_paths(patch)
    patch.text(_FORMAT, _MESSAGE, "' '.join(record.getMessage().splitlines())")


@mutant(claim=Claim.NO_LEAKS, caught_by=("LK5",), may=("LK*",))
def subjects_are_printed(patch: Patch) -> None:
    """Whom a token speaks for is printed past the log's formatter, before it is verified."""

    def wrapper(original: Callable[..., Any]) -> Callable[..., Any]:
        def verified(token: str, secret: bytes) -> Any:
            subject = json.loads(verifying.part(token, 1)).get("sub")
            print(f"verifying {subject}", file=sys.stderr, flush=True)
            return original(token, secret)

        return verified

    patch.wrap(verifying.SIGNED_CLAIMS, wrapper)


@mutant(claim=Claim.NO_LEAKS, caught_by=("LK5",), may=("LK*",))
def texts_keep_their_controls(patch: Patch) -> None:
    """Control characters stay in the texts of events."""
    patch.text(_ACCEPT, "if not clean.isprintable():", "if False:")


@mutant(claim=Claim.NO_LEAKS, caught_by=("LK5",), may=("LK*",))
def only_messages_lose_their_controls(patch: Patch) -> None:
    """Control characters are replaced in `message` only, not in `error` and `path`."""
    patch.text(
        _ACCEPT, "if not clean.isprintable():", "if name == 'message' and not clean.isprintable():"
    )


@mutant(claim=Claim.NO_LEAKS, caught_by=("LK5",), may=("LK*",))
def names_may_have_controls(patch: Patch) -> None:
    """Control characters stay in the names of phases and runs, and in ids."""
    patch.text("monitor.events:_fault_of_name", "if neutralise(name) != name:", "if False:")
