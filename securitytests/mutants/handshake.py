"""Flaws of the handshake."""

from securitytests.check import Claim
from securitytests.mutants.patch import Patch
from securitytests.mutants.registry import mutant

_FOREIGN = "if asked.upgrade and asked.foreign:"
_ADMIT = "monitor.handshake:Origins.admit"
_ALLOWED = "if origin in self.allowed:"
_READ = "monitor.handshake:read"
_REQUESTED = "monitor.connection:Connection._requested"
_ANSWER = "self._protocol.send_response(response)"
_LIBRARY_READS = "websockets.http11:Request.parse"
_ANY_BODY = 'if not set(headers.get_all("Content-Length")) <= {"0"}:'
_OWN = 'headers.get_all("Content-Length") not in ([], ["0"])'


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("HS1",), may=("HS2", "HS4"))
def any_origin(patch: Patch) -> None:
    """Origin is not looked at."""
    patch.text("monitor.admission:Admissions.judge", _FOREIGN, "if False:")


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("HS1",), may=("HS2", "HS4"))
def token_excuses_origin(patch: Patch) -> None:
    """A foreign page may connect if it shows a token in URL or header."""
    patch.text(
        "monitor.admission:Admissions.judge",
        _FOREIGN,
        "if asked.upgrade and asked.foreign and asked.token is None:",
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("HS5",))
def any_version(patch: Patch) -> None:
    """Every Sec-WebSocket-Version is taken for 13."""
    patch.text(
        "monitor.connection:Connection._requested",
        "response = self._protocol.accept(request)",
        'del request.headers["Sec-WebSocket-Version"];'
        ' request.headers["Sec-WebSocket-Version"] = "13";'
        " response = self._protocol.accept(request)",
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("HS2",))
def origin_by_its_beginning(patch: Patch) -> None:
    """An Origin that begins as an own one is an own one."""
    own = "host.rpartition(':')[0] in self.own_hosts and origin.startswith(f'http://{host}')"
    patch.text(_ADMIT, _ALLOWED, f"if origin in self.allowed or ({own}):")


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("HS2",))
def origin_by_its_end(patch: Patch) -> None:
    """An Origin that ends as an own one is an own one: subdomains, and names that end so."""
    own = "host.rpartition(':')[0] in self.own_hosts and origin.endswith(host)"
    patch.text(_ADMIT, _ALLOWED, f"if origin in self.allowed or ({own}):")


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("HS2",))
def origin_as_a_pattern(patch: Patch) -> None:
    """Origins are compared as patterns whose dots stand for any character."""
    own = "__import__('re').fullmatch('http://' + host, origin)"
    known = "host.rpartition(':')[0] in self.own_hosts"
    patch.text(_ADMIT, _ALLOWED, f"if origin in self.allowed or ({known} and {own}):")


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("HS2",))
def null_origin_passes(patch: Patch) -> None:
    """A page without an origin of its own, such as a sandboxed frame, may connect."""
    patch.text(_ADMIT, _ALLOWED, 'if origin in self.allowed or origin == "null":')


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("HS2",))
def any_port_of_the_own_host(patch: Patch) -> None:
    """A page of another port of this host, another user's perhaps, may connect."""
    patch.text(_ADMIT, "parts.netloc == host", "parts.netloc.startswith(f'{parts.hostname}:')")


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("HS3",), may=("AU*", "HS*", "TK*", "LK*"))
def origin_demanded_of_who_shows_no_token(patch: Patch) -> None:
    """Programs that authenticate by the first message must show an Origin."""
    patch.text(
        "monitor.admission:Admissions.judge",
        _FOREIGN,
        "if asked.upgrade and (asked.foreign or asked.token is asked.origin is None):",
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("HS4",))
def origin_equal_to_host_is_enough(patch: Patch) -> None:
    """A page is our own if Origin and Host agree, whatever name they agree on."""
    patch.text(_ADMIT, "and name in self.own_hosts", "")


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("HS4",))
def names_that_begin_as_ours(patch: Patch) -> None:
    """A name that begins as one of our own is ours: `localhost.attacker.example`."""
    patch.text(
        _ADMIT,
        "name in self.own_hosts",
        "str(name).startswith(tuple(self.own_hosts))",
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("HS5",))
def version_may_be_missing(patch: Patch) -> None:
    """A handshake without Sec-WebSocket-Version is taken for one of 13."""
    patch.text(
        _REQUESTED,
        "response = self._protocol.accept(request)",
        'request.headers.setdefault("Sec-WebSocket-Version", "13");'
        " response = self._protocol.accept(request)",
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("HS6",))
def unoffered_subprotocol(patch: Patch) -> None:
    """The answer names the service's subprotocol, whether or not it was offered."""
    patch.text(
        _REQUESTED, _ANSWER, f'response.headers["Sec-WebSocket-Protocol"] = "monitor"; {_ANSWER}'
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("HS6",))
def subprotocol_in_lower_case(patch: Patch) -> None:
    """The answer repeats the first subprotocol offered, in lower case."""
    name = "Sec-WebSocket-Protocol"
    patch.text(
        _REQUESTED,
        _ANSWER,
        f'[response.headers.__setitem__("{name}", each.partition(",")[0].lower())'
        f' for each in request.headers.get_all("{name}")[:1]]; {_ANSWER}',
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("HS6",))
def unoffered_parameter(patch: Patch) -> None:
    """The answer to an offer of compression names a parameter that was not in it."""
    name = "Sec-WebSocket-Extensions"
    patch.text(
        _REQUESTED,
        _ANSWER,
        f'[response.headers.__setitem__("{name}",'
        ' "permessage-deflate; client_max_window_bits=12")'
        f' for each in request.headers.get_all("{name}") if "deflate" in each]; {_ANSWER}',
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("HS7",))
def headers_without_number(patch: Patch) -> None:
    """A request may have any number of header fields."""
    patch.value("websockets.http11:MAX_NUM_HEADERS", 2**30)


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("HS7",), may=("HS8", "TK10"))
def lines_without_end(patch: Patch) -> None:
    """A line of a request head may be of any length."""
    patch.value("websockets.http11:MAX_LINE_LENGTH", 2**30)


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("HS8",))
def quadratic_list_of_subprotocols(patch: Patch) -> None:
    """Trailing commas of Sec-WebSocket-Protocol are looked for from each comma on."""
    patch.text(
        _READ,
        "headers = request.headers",
        "headers = request.headers; [__import__('re').search(',+$', value)"
        " for value in headers.get_all('Sec-WebSocket-Protocol')]",
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("HS8",))
def quadratic_list_of_extensions(patch: Patch) -> None:
    """The parameters of Sec-WebSocket-Extensions are split off one by one, copying the rest."""
    patch.text(
        _READ,
        "headers = request.headers",
        "headers = request.headers; [__import__('re').search('(?:a;)+$', value)"
        " for value in headers.get_all('Sec-WebSocket-Extensions')]",
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("HS9",))
def bodies_are_not_looked_at(patch: Patch) -> None:
    """A handshake may state any length; its body is taken for what comes next."""
    patch.text(_LIBRARY_READS, _ANY_BODY, "if False:")
    patch.text(_LIBRARY_READS, 'if "Transfer-Encoding" in headers:', "if False:")
    patch.text(_READ, f'"Transfer-Encoding" in headers or {_OWN}', "False")


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("HS9",))
def encoding_excuses_length(patch: Patch) -> None:
    """A length is refused, unless an encoding is stated as well."""
    patch.text(_LIBRARY_READS, 'if "Transfer-Encoding" in headers:', "if False:")
    patch.text(
        _LIBRARY_READS, _ANY_BODY, f'{_ANY_BODY[:-1]} and "Transfer-Encoding" not in headers:'
    )
    patch.text(
        _READ,
        f'"Transfer-Encoding" in headers or {_OWN}',
        f'"Transfer-Encoding" not in headers and {_OWN}',
    )
