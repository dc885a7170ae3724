"""Flaws of token verification."""

import re

from securitytests.check import Claim
from securitytests.mutants.patch import Patch
from securitytests.mutants.registry import mutant


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK2",), may=("TK*",))
def unsigned_tokens(patch: Patch) -> None:
    """A token with `alg` none, in any case, needs no signature."""
    part = "[A-Za-z0-9_-]"
    patch.value(
        "monitor.tokens:_COMPACT",
        re.compile(rf"{part}{{2,}}\.{part}{{2,}}\.({part}{{43}})?", re.ASCII),
    )
    patch.text(
        "monitor.tokens:_key",
        "if header.alg != ALGORITHM:",
        "if header.alg != ALGORITHM and header.alg.lower() != 'none':",
    )
    patch.text(
        "monitor.tokens:_signed_claims",
        "algorithms=[ALGORITHM])",
        "algorithms=[ALGORITHM], options={'verify_signature': not token.endswith('.')})",
    )
