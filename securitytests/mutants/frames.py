"""Flaws of frame parsing and of sizes."""

from securitytests.check import Claim
from securitytests.mutants.patch import Patch
from securitytests.mutants.registry import mutant

_PARSE = "websockets.frames:Frame.parse"
_CHECK = "websockets.frames:Frame.check"


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


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("FR2",), may=("FR*",))
def reserved_bits_pass(patch: Patch) -> None:
    """Reserved bits are not looked at."""
    patch.text(_CHECK, "if self.rsv1 or self.rsv2 or self.rsv3:", "if False:")


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("FR2",), may=("FR*",))
def control_frames_one_byte_longer(patch: Patch) -> None:
    """A control frame may have 126 bytes."""
    patch.text(_CHECK, "if len(self.data) > 125:", "if len(self.data) > 126:")


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("FR2",), may=("FR*",))
def unknown_opcodes_are_texts(patch: Patch) -> None:
    """A frame of an unknown opcode is taken for a text."""
    patch.text(_PARSE, 'raise ProtocolError("invalid opcode") from exc', "opcode = Opcode(1)")


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("FR3",), may=("FR*",))
def fragmented_text_is_repaired(patch: Patch) -> None:
    """What is not UTF-8 in a message of several frames is replaced."""
    patch.text(
        "monitor.assembly:Assembly.add",
        'return str(message, "utf-8")',
        'return str(message, "utf-8", "replace")',
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("FR3",), may=("FR*",))
def surrogates_pass(patch: Patch) -> None:
    """Encoded surrogates count as UTF-8 in a message of one frame."""
    patch.text(
        "monitor.assembly:Assembly.add",
        'return str(data, "utf-8")',
        'return str(data, "utf-8", "surrogatepass")',
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("FR4",), may=("FR*",))
def reserved_close_codes_are_echoed(patch: Patch) -> None:
    """Any close code is taken and echoed."""
    patch.text(
        "websockets.frames:Close.check", 'raise ProtocolError("invalid status code")', "pass"
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("FR6",), may=("FR*",))
def lengths_are_cut_to_32_bits(patch: Patch) -> None:
    """Of a length of eight bytes the upper four are not looked at."""
    patch.text(
        _PARSE,
        '(length,) = struct.unpack("!Q", data)',
        '(length,) = struct.unpack("!Q", data); length &= 0xFFFFFFFF',
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("FR11",), may=("FR*",))
def depth_is_a_defect(patch: Patch) -> None:
    """Nesting beyond the parser's depth is not taken for a bad message."""
    patch.text(
        "monitor.wire:decode",
        "(msgspec.DecodeError, RecursionError, UnicodeEncodeError)",
        "(msgspec.DecodeError, UnicodeEncodeError)",
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("FR12",), may=("FR*",))
def numbers_out_of_measure_are_mended(patch: Patch) -> None:
    """Infinity is read as 0."""
    patch.text(
        "monitor.wire:decode",
        "_decoder.decode(text)",
        '_decoder.decode(text.replace(": Infinity", ": 0"))',
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("FR12",), may=("AU4", "FR*"))
def keys_may_stand_twice(patch: Patch) -> None:
    """Of a key that stands twice the last is taken."""
    patch.text("monitor.wire:decode", "if not _has_single_keys(text, message):", "if False:")


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("FR12",), may=("FR*",))
def keys_of_events_may_stand_twice(patch: Patch) -> None:
    """Only the keys of the message itself are looked at, not those of its events."""
    patch.text("monitor.wire:_require_single_keys", "if not all(single):", "if not single[-1]:")


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("FR12",), may=("FR*",))
def keys_of_the_first_event_alone_are_looked_at(patch: Patch) -> None:
    """Behind the first event of a batch a key may stand twice."""
    patch.text(
        "monitor.wire:_require_single_keys",
        "if not all(single):",
        "if not (single[0] and single[-1]):",
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("FR12",), may=("FR*",))
def escaped_keys_are_other_keys(patch: Patch) -> None:
    """Keys are compared as they are spelled, not as they are read."""
    patch.text(
        "monitor.wire:_require_single_keys",
        "json.loads(text, ",
        'json.loads(text.replace("\\\\u", "\\\\\\\\u"), ',
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("FR13",), may=("FR*",))
def binary_is_text(patch: Patch) -> None:
    """A binary frame is taken for a text."""
    patch.text(
        "monitor.connection:Connection._received",
        "if opcode is Opcode.TEXT or opcode is Opcode.CONT:",
        "if opcode is Opcode.TEXT or opcode is Opcode.CONT or opcode is Opcode.BINARY:",
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("FR13",), may=("FR*",))
def bad_messages_are_dropped(patch: Patch) -> None:
    """What is no message is passed over in silence."""
    patch.text("monitor.session:Session.receive", "self._malformed(error)", "[]")
