"""`python -m monitor` and `wsproof serve`: settings from flags, then the server."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from monitor.contract.verdicts import ExitCode, WsproofError
from monitor.settings import load


def serve(arguments: Sequence[str]) -> int:
    """Run the server until it is told to stop; return its exit code.

    Raises:
        WsproofError: the settings, the state folder or the address cannot be used.
    """
    _fill_standard_streams()
    settings, check = load(arguments, os.environ)
    # Wrong settings are told without these.
    from monitor import logs, preflight, server  # noqa: PLC0415
    from monitor.statefolder import open_state_folder  # noqa: PLC0415

    if check:
        preflight.check(settings)
        print("wsproof serve: the settings are in order", file=sys.stderr)
        return ExitCode.HOLDS
    logs.configure(settings.log_level, settings.log_format)
    return server.run(settings, open_state_folder(Path(settings.state)))


def _fill_standard_streams() -> None:
    """Open what of stdin, stdout and stderr is closed: else a socket would take its number."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)


def main() -> int:
    """Run the server of this process's command line."""
    try:
        return serve(sys.argv[1:])
    except WsproofError as error:
        print(f"monitor: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
