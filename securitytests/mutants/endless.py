"""Flaws that let frames without end, or bombs, cost more than they may."""

from securitytests.check import Claim
from securitytests.mutants.patch import Patch
from securitytests.mutants.registry import mutant

_ADD = "monitor.assembly:Assembly.add"
_PARSE = "monitor.channel:Channel._parse"
_CONTROL = "monitor.channel:_Frames._one_too_many"
_INFLATE = "websockets.extensions.permessage_deflate:PerMessageDeflate.decode"
_BOUND = "max_length = 0 if max_size is None else max_size"


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("FR7",), may=("FR*",))
def fragments_are_not_counted(patch: Patch) -> None:
    """A message may come in any number of frames, as long as its bytes fit."""
    patch.text(_ADD, "if self._fragments > self._max_fragments:", "if False:")


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("FR7",), may=("FR*",))
def one_fragment_more(patch: Patch) -> None:
    """A message may come in one frame more than promised."""
    patch.text(
        _ADD, "self._fragments > self._max_fragments", "self._fragments > 1 + self._max_fragments"
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("FR7",), may=("FR*",))
def empty_fragments_do_not_count(patch: Patch) -> None:
    """Only frames with something in them are counted."""
    patch.text(_ADD, "self._fragments += 1", "self._fragments += bool(data)")


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("FR7",), may=("FR*",))
def the_last_fragment_does_not_count(patch: Patch) -> None:
    """The frame that ends a message is not counted."""
    patch.text(_ADD, "self._fragments += 1", "self._fragments += not final")


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("FR7",), may=("FR*", "RL9", "RL12"))
def who_was_closed_is_listened_to(patch: Patch) -> None:
    """What comes after our close is parsed, however much, until the close deadline."""
    patch.text(_PARSE, "if self._overtime_bytes > _OVERTIME_BYTES:", "if False:")
    patch.text(
        "monitor.connection:Connection._assemble",
        "self._protocol.fail(CloseCode.BAD_MESSAGE)",
        "pass",
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("FR8",), may=("FR*", "RL9", "RL12"))
def what_is_incomplete_is_looked_through_again(patch: Patch) -> None:
    """Each write has all that was kept of the frame so far looked through, byte by byte."""
    patch.text(
        _PARSE,
        "self._protocol.receive_data(data)",
        "self._protocol.receive_data(data); sum(b & 1 for b in self._protocol.reader.buffer)",
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("FR8",), may=("FR*", "ID6", "RL9", "RL12"))
def a_frame_begun_has_room_made_for_four(patch: Patch) -> None:
    """Who begins a frame larger than a few kilobytes has four times the largest kept ready."""
    patch.text(
        _PARSE,
        "self._protocol.receive_data(data)",
        "self._protocol.receive_data(data)\n"
        "    if len(self._protocol.reader.buffer) > 65536:\n"
        '        self._protocol.__dict__.setdefault("room", bytearray(b"x") * 2**20)',
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("FR8",), may=("AU5", "FR*"))
def bytes_put_off_the_authentication_deadline(patch: Patch) -> None:
    """Who has begun a first message has the whole deadline again with each byte of it."""
    patch.text(
        _PARSE,
        "self._protocol.receive_data(data)",
        "self._protocol.receive_data(data)\n"
        "    if self.session is not None:\n"
        "        self.session._opened = self._host.now()",
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("FR10",), may=("FR7",))
def control_frames_are_not_counted(patch: Patch) -> None:
    """Any number of pings is answered, any number of pongs taken."""
    patch.text(_CONTROL, "not self._control.take(self._clock())", "False")


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("FR10",), may=())
def pongs_are_not_counted(patch: Patch) -> None:
    """Pongs nobody asked for are free."""
    patch.text(_CONTROL, " or frame.opcode is Opcode.PONG", "")


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("FR10",), may=())
def empty_pings_are_not_counted(patch: Patch) -> None:
    """Only pings with something in them are counted."""
    patch.text(
        _CONTROL, "frame.opcode is Opcode.PING or", "frame.opcode is Opcode.PING and frame.data or"
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("FR9", "RL12"), may=("FR*",))
def inflation_has_no_bound(patch: Patch) -> None:
    """A compressed message may become as large as it likes."""
    patch.text(_INFLATE, _BOUND, "max_length = 0")


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("FR9", "RL12"), may=("FR*",))
def inflated_first_and_measured_then(patch: Patch) -> None:
    """A message is inflated whole, and refused if it has become too large."""
    patch.text(_INFLATE, _BOUND, "max_length = 0")
    patch.text(
        _INFLATE,
        "if self.decoder.unconsumed_tail:",
        "if max_size is not None and len(data) > max_size:",
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("FR9",), may=("FR*",))
def one_inflated_byte_more(patch: Patch) -> None:
    """A compressed message may become one byte larger than promised."""
    patch.text(_INFLATE, _BOUND, f"{_BOUND} + 1")


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("FR9",), may=("FR*",))
def each_fragment_inflates_by_itself(patch: Patch) -> None:
    """Each fragment may inflate to the limit, whatever those before it have become."""
    patch.text(_INFLATE, _BOUND, "max_length = 0 if max_size is None else 2**18")


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("FR9",), may=("FR*", "TK10"))
def strangers_bombs_are_inflated_whole(patch: Patch) -> None:
    """Before authentication the bytes on the wire are limited, and not what becomes of them."""
    patch.text(
        _INFLATE, _BOUND, "max_length = 0 if max_size is None or max_size == 10_240 else max_size"
    )
