"""`python -m securitytests.mutants NAME -- SERVE ARGUMENTS`: the monitor with one defence less."""

import sys
from collections.abc import Sequence

from monitor.__main__ import serve
from monitor.contract.verdicts import UsageError, WsproofError
from securitytests.mutants.patch import MutantDefectError, Patch
from securitytests.mutants.registry import find


def main(arguments: Sequence[str]) -> int:
    """Apply the mutant, then serve; return the exit code."""
    try:
        if len(arguments) < 2 or arguments[1] != "--":
            raise UsageError("usage: python -m securitytests.mutants NAME -- SERVE ARGUMENTS")
        chosen, patch = find(arguments[0]), Patch()
        chosen.apply(patch)
        if not patch.changes:
            raise MutantDefectError(f"mutant {chosen.name}: it changes nothing")
        return serve(arguments[2:])
    except WsproofError as error:
        print(f"mutant: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
