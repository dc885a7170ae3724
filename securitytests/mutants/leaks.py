"""Flaws of redaction."""

from securitytests.check import Claim
from securitytests.mutants.patch import Patch
from securitytests.mutants.registry import mutant


@mutant(claim=Claim.NO_LEAKS, caught_by=("LK1",), may=("LK*",))
def no_redaction(patch: Patch) -> None:
    """Free text passes as it is."""
    patch.text("monitor.redaction:redact", "text, plain = redact_plain(text)", "return text, 0")


@mutant(claim=Claim.NO_LEAKS, caught_by=("LK1",), may=("LK*",))
def refused_events_are_logged(patch: Patch) -> None:
    """The log quotes each publication as it came."""
    patch.text(
        "monitor.session:Session.receive",
        "self._activity = now",
        "self._activity = now; __import__('logging').getLogger('monitor').info('heard %s', text)",
    )


@mutant(claim=Claim.NO_LEAKS, caught_by=("LK2",), may=("LK*",))
def base64_is_not_decoded(patch: Patch) -> None:
    """Redaction does not look into base64."""
    patch.text("monitor.redaction:_redact_runs", "_BASE64_TEXT.sub(base64, text)", "text")


@mutant(claim=Claim.NO_LEAKS, caught_by=("LK2",), may=("LK*",))
def hex_is_not_decoded(patch: Patch) -> None:
    """Redaction does not look into hex digits."""
    patch.text(
        "monitor.redaction:_redact_runs",
        "_HEX_TEXT.sub(hexadecimal, _BASE64_TEXT.sub(base64, text))",
        "_BASE64_TEXT.sub(base64, text)",
    )


@mutant(claim=Claim.NO_LEAKS, caught_by=("LK2",), may=("LK*",))
def percent_is_not_decoded(patch: Patch) -> None:
    """Redaction does not look into percent-encoding."""
    patch.text("monitor.redaction:redact", 'if "%" in text', "if False")


@mutant(claim=Claim.NO_LEAKS, caught_by=("LK2",), may=("LK*",))
def escapes_are_not_decoded(patch: Patch) -> None:
    """Redaction does not look into JSON escapes."""
    patch.text("monitor.redaction:redact", 'if "\\\\" in text', "if False")


@mutant(claim=Claim.NO_LEAKS, caught_by=("LK2",), may=("LK*",))
def halves_are_not_joined(patch: Patch) -> None:
    """Each text is redacted by itself."""
    patch.text("monitor.redaction:Redactor.redact", "tail = self._tail", "tail = ''")


@mutant(claim=Claim.NO_LEAKS, caught_by=("LK3",), may=("LK*",))
def events_tell_the_machine(patch: Patch) -> None:
    """Each event delivered has a field with the process that stored it."""
    patch.text(
        "monitor.events:encode_event",
        "return b'%b,\"offset\":%d}' % (_encode(event)[:-1], offset)",
        'return b\'%b,"offset":%d,"process":1}\' % (_encode(event)[:-1], offset)',
    )


@mutant(claim=Claim.NO_LEAKS, caught_by=("LK3",), may=("LK*",))
def failures_tell_the_machine(patch: Patch) -> None:
    """Each event of a failed phase has a field with the process that stored it."""
    patch.text(
        "monitor.events:encode_event",
        "return b'%b,\"offset\":%d}' % (_encode(event)[:-1], offset)",
        "process = b',\"process\":1' if event.type == 'phase_failed' else b''\n"
        "    return b'%b,\"offset\":%d%b}' % (_encode(event)[:-1], offset, process)",
    )


@mutant(claim=Claim.NO_LEAKS, caught_by=("LK4",), may=("LK*",))
def errors_repeat_values(patch: Patch) -> None:
    """An error says which value was wrong."""
    patch.text("monitor.events:explain", '_QUOTED_VALUE.sub("", said)', "said")


@mutant(claim=Claim.NO_LEAKS, caught_by=("LK4",), may=("LK*",))
def errors_name_exceptions(patch: Patch) -> None:
    """An error is the exception as the library words it."""
    patch.text("monitor.events:explain", "said = str(error)", "said = repr(error)")
