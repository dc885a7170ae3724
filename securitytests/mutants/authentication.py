"""Flaws of authentication."""

from securitytests.check import Claim
from securitytests.mutants.patch import Patch
from securitytests.mutants.registry import mutant

_ANYONE = (
    "__import__('monitor.tokens', fromlist=['Grant']).Grant("
    "'anyone', frozenset({Scope.SUBSCRIBE}), '0' * 32, 0.0, 4e9)"
)
_VERIFY = "monitor.tokens:verify"
_FIRST_LOOK = "if len(token) > MAX_TOKEN_CHARS:"
_SHAPE = "if not _COMPACT.fullmatch(token):"
_CLIENT = "monitor.admission:Admissions._client"
_READ = "monitor.handshake:read"
_AUTHORIZATION = "monitor.handshake:_authorization"
_ALL_TOKENS = "tokens=(*in_query, *bearer)"
_FIRST = "monitor.session:Session._first"
_RECEIVE = "monitor.session:Session.receive"
_RENEW = "monitor.session:Session._renew"
_SAME_SUBJECT = "if grant.subject != self.grant.subject:"
_STORED = "[Store('nobody', tuple(message.events), message.ref, 0)]"


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU1",), may=("AU*", "TK*"))
def anonymous_subscribers(patch: Patch) -> None:
    """A handshake without a token is a subscriber's."""
    patch.text(
        "monitor.admission:Admissions._client",
        "session.open(None, now)",
        f"session.open({_ANYONE}, now)",
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU1",), may=("AU6",))
def first_message_needs_no_token(patch: Patch) -> None:
    """Whoever begins with another message than `auth` is a subscriber: only the message way."""
    patch.text(
        "monitor.session:Session._first",
        'text = "authenticate first: send {type: auth, token}"',
        f"return self._granted({_ANYONE}, message.ref, now)",
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU1",), may=("AU*", "LK*"))
def stream_before_authentication(patch: Patch) -> None:
    """Events flow while the server still waits for `auth`."""
    patch.text(
        "monitor.session:Session.open",
        'return [Send(wire.encode("auth_required"))]',
        'return [Send(wire.encode("auth_required")), Stream(None)]',
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU5",), may=("CN*",))
def no_authentication_deadline(patch: Patch) -> None:
    """Who never authenticates is never closed."""
    patch.text(
        "monitor.session:Session.due",
        "if now >= self._opened + settings.authentication_timeout_s:",
        "if False:",
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU5",), may=("CN*",))
def authentication_deadline_doubled(patch: Patch) -> None:
    """The authentication deadline is twice what is promised."""
    patch.text(
        "monitor.session:Session.due",
        "settings.authentication_timeout_s:",
        "2 * settings.authentication_timeout_s:",
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU2",))
def tokens_end_at_a_nul(patch: Patch) -> None:
    """A token is read as far as its first NUL."""
    patch.text(_VERIFY, _FIRST_LOOK, f'token = token.partition("\\0")[0]; \n    {_FIRST_LOOK}')


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU2",))
def tokens_are_folded(patch: Patch) -> None:
    """A token is brought into a normal form of Unicode first."""
    folded = '__import__("unicodedata").normalize("NFKC", token)'
    patch.text(_VERIFY, _FIRST_LOOK, f"token = {folded}; \n    {_FIRST_LOOK}")


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU2",))
def more_behind_a_token(patch: Patch) -> None:
    """What stands behind a token is not looked at."""
    patch.text(
        _VERIFY,
        _SHAPE,
        f"token = getattr(_COMPACT.match(token), 'group', lambda: '')(); \n    {_SHAPE}",
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU2",))
def quotes_are_taken_off(patch: Patch) -> None:
    """A token in the first message may stand in quotes of its own."""
    patch.text(
        _FIRST,
        "self._rules.verify(message.token)",
        "self._rules.verify(message.token.strip('\"'))",
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU2",))
def an_empty_token_is_anybodys(patch: Patch) -> None:
    """An empty token in the URL is a subscriber's."""
    patch.text(
        _CLIENT,
        "grant = self._grant(asked)",
        f"grant = {_ANYONE} if asked.token == '' else self._grant(asked)",
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU3",))
def any_scheme(patch: Patch) -> None:
    """Authorization is read whatever its scheme."""
    patch.text(_AUTHORIZATION, 'scheme.lower() == "bearer" and token', "token")


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU3",))
def schemes_that_begin_as_bearer(patch: Patch) -> None:
    """A scheme that begins as the right one is the right one."""
    patch.text(_AUTHORIZATION, 'scheme.lower() == "bearer"', 'scheme.lower().startswith("bearer")')


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU3",))
def no_scheme_is_bearer(patch: Patch) -> None:
    """A token without a scheme is taken."""
    patch.text(
        _AUTHORIZATION,
        'scheme, _, token = value.strip().partition(" ")',
        'scheme, _, token = value.strip().rpartition(" "); scheme = scheme or "bearer"',
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU3",))
def last_word_of_a_message_token(patch: Patch) -> None:
    """Of the token in the first message the last word counts."""
    patch.text(
        _FIRST,
        "self._rules.verify(message.token)",
        "self._rules.verify((message.token.split() or [''])[-1])",
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU4",))
def first_credential_wins(patch: Patch) -> None:
    """Of several credentials the first counts."""
    patch.text(
        "monitor.handshake:Asked.ambiguous",
        "self.malformed_credentials or len(self.tokens) > 1",
        "self.malformed_credentials",
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU4",))
def header_before_url(patch: Patch) -> None:
    """A token in the header makes the URL's go unread; repeated in one place they are refused."""
    patch.text(_READ, _ALL_TOKENS, "tokens=tuple(bearer or in_query)")


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU4",))
def the_same_twice_is_one(patch: Patch) -> None:
    """The same token twice counts as one."""
    patch.text(_READ, _ALL_TOKENS, "tokens=tuple(dict.fromkeys((*in_query, *bearer)))")


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU4",))
def empty_credentials_do_not_count(patch: Patch) -> None:
    """An empty token beside a good one is not there."""
    patch.text(
        _READ, _ALL_TOKENS, "tokens=tuple(filter(None, (*in_query, *bearer))) or (*in_query,)"
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU4",), may=("FR12",))
def last_token_of_a_message(patch: Patch) -> None:
    """Of two tokens in one message the last counts."""
    patch.text(
        "monitor.wire:decode",
        "if not _has_single_keys(text, message):",
        "if message.token is None and not _has_single_keys(text, message):",
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU6",), may=("AU1", "AU5"))
def pings_before_authentication(patch: Patch) -> None:
    """Application pings are answered before authentication."""
    patch.text(
        _RECEIVE,
        "if self.grant is None:",
        "if self.grant is None and isinstance(message, wire.Ping):\n"
        '        return [Send(wire.encode("pong", message.ref))]\n'
        "    if self.grant is None:",
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU6",), may=("AU1", "LK*"))
def publications_before_authentication(patch: Patch) -> None:
    """Publications are stored before authentication."""
    patch.text(
        _RECEIVE,
        "if self.grant is None:",
        "if self.grant is None and isinstance(message, wire.Publish):\n"
        f"        return {_STORED}\n"
        "    if self.grant is None:",
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU6",), may=("AU1", "LK*"))
def publications_behind_a_refusal(patch: Patch) -> None:
    """Who was refused is still heard while the connection closes."""
    patch.text(
        _RECEIVE,
        "if self.closing_since is not None:\n        return []",
        "if self.closing_since is not None:\n"
        "        message = wire.decode(text)\n"
        f"        return {_STORED} if isinstance(message, wire.Publish) else []",
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU7",), may=("AZ*", "SE*"))
def anybody_else_by_a_second_authentication(patch: Patch) -> None:
    """A second authentication makes the connection somebody else's."""
    patch.text(_RENEW, _SAME_SUBJECT, "if False:")


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU7",))
def subjects_without_case(patch: Patch) -> None:
    """Subjects are compared without case."""
    patch.text(_RENEW, _SAME_SUBJECT, "if grant.subject.lower() != self.grant.subject.lower():")


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU7",))
def subjects_by_their_beginning(patch: Patch) -> None:
    """A subject whose name begins as the first one's is taken for it."""
    patch.text(_RENEW, _SAME_SUBJECT, "if not grant.subject.startswith(self.grant.subject):")
