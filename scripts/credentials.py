"""Where the commands get a token: from a flag, the environment, or this user's own monitor."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from monitor.client.link import Endpoint
from monitor.contract.verdicts import UsageError

_TTL_S = 3_600.0

Scope = Literal["subscribe", "publish"]


def endpoint_for(url: str, token: str | None, scope: Scope, state: Path) -> Endpoint:
    """Return the monitor at `url` with a token for `scope`.

    Without a token, and if `state` is the state folder of a monitor on this machine and belongs
    to this user, tokens are issued as they are needed.

    Raises:
        UsageError: no token is to be had; says how to get one.
    """
    if token:
        return Endpoint(url, token)
    endpoint = Endpoint(url)
    keys = state / "keys.json"
    if not endpoint.is_loopback:
        why = "and the monitor is not on this machine"
    elif not keys.exists():
        why = f"and state folder {state} holds no keys"
    elif keys.stat().st_uid != os.getuid():
        why = f"and state folder {state} belongs to another user"
    else:
        return Endpoint(url, _issuer(keys, scope))
    raise UsageError(
        f"no token: neither --token nor WSPROOF_TOKEN is given, {why}. Get one where the monitor"
        f" runs, with: wsproof token issue --subject NAME --scope {scope} --ttl 1h --state DIR"
    )


def _issuer(keys: Path, scope: Scope) -> Callable[[], str]:
    """Return a function that issues a fresh token, so that none outlives its hour of use."""
    from monitor.keys import load_keys
    from monitor.registry import Registry
    from monitor.tokens import Scope as TokenScope
    from monitor.tokens import issue

    def fresh() -> str:
        table, now = load_keys(keys), time.time()
        token, grant = issue(table, "command-line", {TokenScope(scope)}, _TTL_S, now)
        with Registry(keys.with_name("tokens.db")) as registry:
            registry.record(grant)
        return token

    return fresh
