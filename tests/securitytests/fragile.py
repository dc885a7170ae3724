"""The reference monitor made fragile: a protocol error of a peer ends the whole process."""

import sys

from monitor.__main__ import serve
from securitytests.mutants.patch import Patch

if __name__ == "__main__":
    Patch().text(
        "monitor.connection:Connection._receive",
        "if protocol.parser_exc is not None:",
        "if protocol.parser_exc is not None: __import__('os')._exit(1)\n    if False:",
    )
    sys.exit(serve(sys.argv[1:]))
