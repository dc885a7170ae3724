"""Issues tokens of the Python services here, and takes them and their holders' rights away.

usage: python -m tests.services.tokens SERVICE STATE issue SUBJECT SCOPE LIFETIME_S
       python -m tests.services.tokens SERVICE STATE revoke TOKEN
       python -m tests.services.tokens SERVICE STATE disable SUBJECT
"""

import sys
from pathlib import Path

from tests.services.rules import Tokens

ALGORITHMS = {
    "starlette-service": "HS256",
    "aiohttp-service": "HS512",
    "websockets-service": "HS384",
}


def main() -> None:
    """Do what is asked."""
    service, state, action, name, *more = sys.argv[1:]
    folder = Path(state)
    tokens = Tokens(folder, ALGORITHMS[service], service)
    match action:
        case "issue":
            print(tokens.issue(name, more[0], float(more[1])))
        case "revoke":
            grant = tokens.verify(name)
            if grant is None:
                sys.exit("this token is not valid, so it need not be revoked")
            _add(folder / "revoked", grant.token_id)
        case "disable":
            _add(folder / "disabled", name)
        case _:
            sys.exit(__doc__)


def _add(file: Path, name: str) -> None:
    with file.open("a") as names:
        names.write(name + "\n")


if __name__ == "__main__":
    main()
