"""The reference monitor made fragile: a protocol error of a peer ends the whole process."""

import os
import sys

from monitor.__main__ import serve
from securitytests.mutants.patch import Patch


def crash(*_: object) -> None:
    os._exit(1)


if __name__ == "__main__":
    Patch().wrap("websockets.protocol:Protocol.fail", lambda _: crash)
    sys.exit(serve(sys.argv[1:]))
