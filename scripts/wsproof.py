"""`wsproof`: the one command. Turns every outcome into an exit code, and a failure into JSON too.

`serve` is handed to the monitor before anything else is imported, so that a running server
carries none of the harness's libraries.
"""

import sys
import traceback
from collections.abc import Sequence

from monitor.contract.verdicts import ExitCode, WsproofError
from scripts.failure import tell

#: What typer makes of a Ctrl-C that a command leaves to it; no command of ours ends with it.
_TYPER_INTERRUPTED = 130


def main() -> None:
    """Run the command line of this process and exit with its code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; every expected failure becomes one message."""
    try:
        if arguments[:1] == ["serve"]:
            from monitor.__main__ import serve

            return serve(arguments[1:])
        return _dispatch(arguments)
    except WsproofError as error:
        return _failed(arguments, str(error), error.exit_code)
    except KeyboardInterrupt:
        return _failed(arguments, "interrupted", ExitCode.NO_VERDICT)
    except Exception:  # noqa: BLE001 - the last resort: a defect of ours, shown whole
        traceback.print_exc()
        said = "internal error; the trace above is a defect of wsproof"
        return _failed(arguments, said, ExitCode.INTERNAL)


def _failed(arguments: Sequence[str], reason: str, code: ExitCode) -> ExitCode:
    print(f"wsproof: {reason}", file=sys.stderr)
    tell(arguments, reason, code)
    return code


def _dispatch(arguments: Sequence[str]) -> int:
    import typer

    from scripts.cli.app import app, load_commands

    load_commands()
    try:
        code = app(args=list(arguments), prog_name="wsproof", standalone_mode=False)
    except typer.Exit as ended:
        return ended.exit_code
    except typer.Abort as aborted:
        raise KeyboardInterrupt from aborted
    except Exception as error:
        show = getattr(error, "show", None)  # click's usage errors print themselves
        if show is None:
            raise
        show()
        tell(arguments, error.format_message(), ExitCode.USAGE)  # type: ignore[attr-defined]
        return ExitCode.USAGE
    if code == _TYPER_INTERRUPTED:
        raise KeyboardInterrupt
    return int(code or ExitCode.HOLDS)


if __name__ == "__main__":
    main()
