"""Planted secrets that are written otherwise: encoded, escaped, or in two halves."""

import base64
import urllib.parse
from collections.abc import Callable

from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.catalogue.leaks.canaries import (
    absent,
    heard_by_both,
    log_of,
    pages_of,
    planted,
    text_field,
)
from securitytests.check import Claim, check
from securitytests.judging import verdict_of

_ENCODINGS: dict[str, Callable[[str], str]] = {
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64, shifted by one": lambda text: base64.b64encode(f"x{text}".encode()).decode(),
    "base64url": lambda text: base64.urlsafe_b64encode(f"??>{text}".encode()).decode().rstrip("="),
    "percent": lambda text: urllib.parse.quote(text, safe="").replace("o", "%6f"),
    "JSON escapes": lambda text: "".join(f"\\u{ord(char):04x}" for char in text),
    "hex digits": lambda text: text.encode().hex(),
}


@check(
    id="LK2",
    title="Planted secrets get out neither encoded nor in halves",
    claim=Claim.NO_LEAKS,
    severity=Severity.HIGH,
    references=("ASVS-14.2.6", "ASVS-16.2.5", "CWE-200", "CWE-532"),
    remediation="Redact what texts decode to, and a publisher's texts together with the last one.",
    cost_s=2.0,
    tier="gentle",
)
async def hidden_secrets(bench: Bench) -> None:
    """A log line that quotes a header in base64 says as much as the header.

    A made-up access key and a connection string with a password are published in base64 (of any
    alignment and alphabet), percent-encoded, in JSON escapes and as hex digits, and cut into two
    events. Neither the encoded text nor the secret may be found in the stream, the answers, the
    log, or on a page; of one in halves at most one half.
    """
    if bench.target.events is None or not bench.target.events.text_fields:
        bench.cannot_tell("the profile has no `events.text_fields`; name the fields of free text")
    field = text_field(bench)
    subscriber, publisher = await bench.client(), await bench.client("publish")
    hidden: dict[str, tuple[str, str]] = {}
    for kind in ("access key", "password"):
        for name, encode in _ENCODINGS.items():
            sentence, secret = planted()[kind]
            written = encode(sentence.split()[2 if kind == "access key" else 3])
            hidden[f"{kind}, {name}"] = (written, secret)
            await publisher.send_event(bench.event(**{field: f"said {written} then"}))
    _, key = planted()["access key"]
    halves = key[:10], key[10:]
    for half in halves:
        await publisher.send_event(bench.event(**{field: half}))
    heard = await heard_by_both(bench, subscriber, publisher)
    places = {**heard, **await pages_of(bench), "log": await log_of(bench)}
    for name, (written, secret) in hidden.items():
        for place, content in places.items():
            with bench.variant(f"{name}, {place}"):
                # In JSON, a backslash is written twice.
                bench.judge(
                    *(
                        absent(one, content)
                        for one in (written, written.replace("\\", "\\\\"), secret)
                    )
                )
    with bench.variant("access key, in two events"):
        out = [half for half in halves if half in (heard["stream"] or "")]
        bench.judge(verdict_of(len(out) < 2, "at most one half", f"{len(out)} halves"))
