"""`wsproof token`: issue, revoke, disable, list, rotate. Writes the monitor's state folder."""

import difflib
import re
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.contract.verdicts import UsageError
from scripts.cli.app import DEFAULT_STATE, StateOption, app

if TYPE_CHECKING:
    from monitor.registry import IssuedToken
    from monitor.tokens import Scope

tokens = typer.Typer(name="token", no_args_is_help=True, help="Issue, revoke and list tokens.")
app.add_typer(tokens)

_TTL = re.compile(r"(?P<number>[0-9]{1,9})(?P<unit>[smhd])")
_UNIT_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_TOKEN_ID = re.compile(r"[A-Za-z0-9_-]{16,128}")

_SubjectArgument = Annotated[str, typer.Argument(metavar="SUBJECT")]


@tokens.command()
def issue(
    subject: Annotated[str, typer.Option(help="Who will hold the token.")],
    scope: Annotated[str, typer.Option(help="What it allows: subscribe, publish, admin.")],
    ttl: Annotated[str, typer.Option(help="How long it lives: 90s, 30m, 1h, 7d.")] = "1h",
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Print a new token. Creates the signing key if there is none yet."""
    from monitor.keys import load_or_create_keys
    from monitor.registry import Registry
    from monitor.statefolder import open_state_folder
    from monitor.tokens import issue as issue_token

    scopes, ttl_s, now = _scopes(scope), _seconds(ttl), time.time()
    folder = open_state_folder(state)
    token, grant = issue_token(load_or_create_keys(folder.keys), subject, scopes, ttl_s, now)
    with Registry(folder.tokens) as registry:
        registry.forget(now)
        registry.record(grant)
    print(token)


@tokens.command()
def revoke(
    token: Annotated[
        str, typer.Argument(metavar="TOKEN|ID", help="The token, its id, or - to read stdin.")
    ],
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Refuse one token from now on; its live connections are closed within a second."""
    from monitor.registry import Registry
    from monitor.statefolder import open_state_folder

    folder = open_state_folder(state, create=False)
    given = sys.stdin.readline().strip() if token == "-" else token  # noqa: S105 - a dash
    with Registry(folder.tokens) as registry:
        if _TOKEN_ID.fullmatch(given):
            grant = registry.find(given)
            if grant is None:
                raise UsageError(
                    f"token id {given}: not issued from state folder {state}, or expired; see"
                    " `wsproof token list`"
                )
        else:
            from monitor.keys import load_keys
            from monitor.tokens import TokenError, verify

            try:
                grant = verify(load_keys(folder.keys), given, time.time())
            except TokenError:
                raise UsageError(
                    f"token: expired, or not valid for the monitor of state folder {state}: it is"
                    " refused already; `wsproof token list` shows those that are not"
                ) from None
        registry.revoke(grant.token_id, grant.expires_at)
    _tell(f"token {grant.token_id} of {grant.subject} is revoked")


@tokens.command()
def disable(subject: _SubjectArgument, state: StateOption = DEFAULT_STATE) -> None:
    """Refuse every token of a subject, now and later, until `enable`."""
    from monitor.registry import Registry
    from monitor.statefolder import open_state_folder
    from monitor.tokens import check_subject

    check_subject(subject)

    with Registry(open_state_folder(state, create=False).tokens) as registry:
        known = any(token.grant.subject == subject for token in registry.list(time.time()))
        registry.disable(subject)
    _tell(f"subject {subject} is disabled" + ("" if known else " (it holds no token at present)"))


@tokens.command()
def enable(subject: _SubjectArgument, state: StateOption = DEFAULT_STATE) -> None:
    """Accept a disabled subject's tokens again."""
    from monitor.registry import Registry
    from monitor.statefolder import open_state_folder

    with Registry(open_state_folder(state, create=False).tokens) as registry:
        if not registry.enable(subject):
            disabled = registry.disabled()
            raise UsageError(
                f"subject {subject}: not disabled"
                + _suggestion(subject, disabled, "disabled are: " + (", ".join(disabled) or "none"))
            )
    _tell(f"subject {subject} is enabled")


@tokens.command(name="list")
def list_tokens(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array on stdout.")] = False,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """List the tokens that have not expired. Their text is not kept anywhere."""
    import msgspec

    from monitor.registry import Registry
    from monitor.statefolder import open_state_folder

    with Registry(open_state_folder(state, create=False).tokens) as registry:
        found = registry.list(time.time())
        disabled = registry.disabled()
    if as_json:
        print(msgspec.json.encode([_row(token) for token in found]).decode())
        return
    if disabled:
        _tell(f"disabled subjects: {', '.join(disabled)}")
    columns = ("id", "subject", "scope", "expires_at", "status")
    rows = [columns, *(tuple(_row(token)[column] for column in columns) for token in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(columns))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


@tokens.command()
def rotate(
    drop_old: Annotated[
        bool, typer.Option("--drop-old", help="Refuse every token issued so far, at once.")
    ] = False,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Sign with a fresh key; the old one is accepted until its last token expires."""
    from monitor.keys import rotate_keys
    from monitor.registry import Registry
    from monitor.statefolder import open_state_folder

    folder, now = open_state_folder(state, create=False), time.time()
    with Registry(folder.tokens) as registry:
        living = [] if drop_old else registry.list(now)
    until = max((token.grant.expires_at for token in living), default=now)
    table = rotate_keys(folder.keys, now, until)
    older = len(table.keys) - 1
    kept = f"{older} older accepted until {_time(until)}" if older else "no older one is accepted"
    _tell(f"new tokens are signed with key {table.current}; {kept}")


def _scopes(text: str) -> "frozenset[Scope]":
    from monitor.tokens import Scope

    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in set(Scope):
            known = "expected a list of " + ", ".join(Scope)
            raise UsageError(
                f"scope {name!r}: unknown" + _suggestion(name, [*map(str, Scope)], known)
            )
    return frozenset(Scope(name) for name in names)


def _seconds(text: str) -> float:
    match = _TTL.fullmatch(text.strip())
    if match is None:
        raise UsageError(
            f"lifetime {text!r}: expected a whole number and a unit, such as 90s, 30m, 1h or 7d"
        )
    return float(int(match["number"]) * _UNIT_S[match["unit"]])


def _suggestion(given: str, known: Sequence[str], otherwise: str) -> str:
    close = difflib.get_close_matches(given, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; {otherwise}"


def _row(token: "IssuedToken") -> dict[str, str]:
    grant = token.grant
    return {
        "id": grant.token_id,
        "subject": grant.subject,
        "scope": ",".join(sorted(grant.scopes)),
        "issued_at": _time(grant.issued_at),
        "expires_at": _time(grant.expires_at),
        "status": "revoked" if token.revoked else "disabled" if token.disabled else "valid",
    }


def _time(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _tell(text: str) -> None:
    print(text, file=sys.stderr)
