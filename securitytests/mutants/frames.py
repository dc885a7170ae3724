"""Flaws of frame parsing and of sizes."""

from securitytests.check import Claim
from securitytests.mutants.patch import Patch
from securitytests.mutants.registry import mutant

_PARSE = "websockets.frames:Frame.parse"


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("FR1",), may=("FR*",))
def unmasked_frames_pass(patch: Patch) -> None:
    """A client's frame may come without a mask."""
    patch.text(_PARSE, 'raise ProtocolError("incorrect masking")', "mask = not mask")


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("FR5",), may=("FR*",))
def size_is_not_limited(patch: Patch) -> None:
    """A message of an authenticated client may be of any size."""
    patch.text(
        "monitor.connection:Connection._regranted",
        "self._host.settings.max_message_bytes",
        "2**50",
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("FR5",), may=("FR*",))
def one_byte_too_many(patch: Patch) -> None:
    """A message may be one byte larger than promised."""
    patch.text(
        "monitor.connection:Connection._regranted",
        "self._host.settings.max_message_bytes",
        "self._host.settings.max_message_bytes + 1",
    )
