"""Flaws of authorization: a good token that allows more than it says."""

import json
from collections.abc import Callable
from typing import Any

from securitytests.check import Claim
from securitytests.mutants.patch import Patch
from securitytests.mutants.registry import mutant

_HANDLE = "monitor.session:Session._handle"
_NO_SUBSCRIBING = "if Scope.SUBSCRIBE not in self.grant.scopes:"
_RECEIVE = "monitor.session:Session.receive"
_MAY_PUBLISH = "Scope.PUBLISH in self.grant.scopes"


@mutant(claim=Claim.REVALIDATION, caught_by=("AZ1",), may=("AZ5",))
def anyone_may_publish(patch: Patch) -> None:
    """Whoever is authenticated may publish."""
    patch.text(
        _RECEIVE,
        f"isinstance(message, wire.Publish) and {_MAY_PUBLISH}",
        "isinstance(message, wire.Publish)",
    )


@mutant(claim=Claim.REVALIDATION, caught_by=("AZ1",))
def admins_may_publish(patch: Patch) -> None:
    """The scope to look at figures covers publishing as well."""
    patch.text(_RECEIVE, _MAY_PUBLISH, f"({_MAY_PUBLISH} or Scope.ADMIN in self.grant.scopes)")


@mutant(claim=Claim.REVALIDATION, caught_by=("AZ1",), may=("AZ2",))
def anyone_may_subscribe(patch: Patch) -> None:
    """Whoever is authenticated may subscribe."""
    patch.text(_HANDLE, _NO_SUBSCRIBING, "if False:")


@mutant(claim=Claim.REVALIDATION, caught_by=("AZ1",), may=("AZ5",))
def first_messages_carry_every_scope(patch: Patch) -> None:
    """Scopes are read from tokens of URL and header; who says `auth` may publish."""
    patch.text(
        "monitor.session:Session._first",
        "return self._granted(grant, message.ref, now)",
        "effects = self._granted(grant, message.ref, now);"
        " self.grant = __import__('msgspec').structs.replace("
        "grant, scopes=grant.scopes | {Scope.PUBLISH}); return effects",
    )


@mutant(claim=Claim.REVALIDATION, caught_by=("AZ1",), may=("HT1",))
def any_token_opens_the_pages(patch: Patch) -> None:
    """Metrics and state are shown to every valid token."""
    patch.text(
        "monitor.admission:Admissions._page", "if Scope.ADMIN not in grant.scopes:", "if False:"
    )


@mutant(claim=Claim.REVALIDATION, caught_by=("AZ2",))
def wildcards_skip_the_scope(patch: Patch) -> None:
    """A filter with a star in it is answered before the scope is looked at."""
    patch.text(
        _HANDLE,
        _NO_SUBSCRIBING,
        "if Scope.SUBSCRIBE not in self.grant.scopes and '*' not in (message.phases or []):",
    )


@mutant(claim=Claim.REVALIDATION, caught_by=("AZ2",))
def filters_match_by_prefix(patch: Patch) -> None:
    """A filter admits every phase that begins with one of its names."""
    patch.text(
        "monitor.eventlog:Filter.admits",
        "about.phase in self.phases",
        "any((about.phase or '').startswith(name) for name in self.phases)",
    )


@mutant(claim=Claim.REVALIDATION, caught_by=("AZ2",))
def filters_ignore_case(patch: Patch) -> None:
    """A filter compares names without regard to case."""
    patch.text(
        "monitor.eventlog:Filter.admits",
        "about.phase in self.phases",
        "(about.phase or '').lower() in {name.lower() for name in self.phases}",
    )


@mutant(claim=Claim.REVALIDATION, caught_by=("AZ5",), may=("LK3", "FR*"))
def publishers_name_the_type(patch: Patch) -> None:
    """An event may have any type; what it is called is passed on."""
    _smuggle(patch, "type", "phase_progress")


@mutant(claim=Claim.REVALIDATION, caught_by=("AZ5",), may=("LK3", "FR*"))
def publishers_set_the_offset(patch: Patch) -> None:
    """An event that states its own offset is delivered with it."""
    _smuggle(patch, "offset", None)


@mutant(claim=Claim.REVALIDATION, caught_by=("AZ5",), may=("AZ1",))
def subscribers_are_echoed(patch: Patch) -> None:
    """What a subscriber may not publish is refused, and delivered all the same."""
    patch.text(
        _HANDLE,
        'return [self._forbid("publish", message.ref)]',
        'return [self._forbid("publish", message.ref), *self._publish(message, now)]',
    )


@mutant(claim=Claim.REVALIDATION, caught_by=("AZ6",), may=("SE6",))
def own_tokens_of_anyone(patch: Patch) -> None:
    """A message's own token must be valid; whose it is does not matter."""
    patch.text(
        "monitor.session:Session._own_token",
        "if grant.subject != self.grant.subject:",
        "if False:",
    )


@mutant(claim=Claim.REVALIDATION, caught_by=("AZ6",))
def identifiers_are_shared(patch: Patch) -> None:
    """An identifier that any subject has used is a repeat."""
    patch.text("monitor.publication:_Group.add", "subject = store.subject", 'subject = "everyone"')


def _smuggle(patch: Patch, field: str, instead: str | None) -> None:
    """Take a field past validation: what the service would refuse is put back on delivery."""
    kept: dict[str, Any] = {}

    def taking(decode: Callable[[str], Any]) -> Callable[[str], Any]:
        def decode_rest(text: str) -> Any:
            try:
                return decode(text)
            except Exception as refused:  # the monitor's own error, which no mutant may import
                try:
                    message = json.loads(text)
                except ValueError:
                    raise refused from None
                for event in message.get("events", ()):
                    if field in event:
                        kept[event.get("id")] = event.pop(field)
                        event.update({} if instead is None else {field: instead})
                if not kept:
                    raise
                return decode(json.dumps(message))

        return decode_rest

    def putting_back(encode: Callable[[Any, int], bytes]) -> Callable[[Any, int], bytes]:
        def encode_whole(event: Any, offset: int) -> bytes:
            payload = encode(event, offset)
            if event.id not in kept:
                return payload
            return json.dumps({**json.loads(payload), field: kept[event.id]}).encode()

        return encode_whole

    patch.wrap("monitor.wire:decode", taking)
    patch.wrap("monitor.publication:encode_event", putting_back)
