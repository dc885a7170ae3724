"""TLS: cleartext where there must be none, versions that are too old, a certificate that counts."""

import asyncio
import ssl
import tempfile
import warnings
from pathlib import Path

import msgspec

from monitor.contract.guard import is_loopback
from monitor.contract.launch import Launch
from monitor.contract.target import Target
from monitor.contract.verdicts import NoVerdictError, Severity
from securitytests.bench import Bench
from securitytests.certificates import asks_for_certificate, with_certificate
from securitytests.check import check
from securitytests.judging import verdict_of
from securitytests.probe.stream import UnreachableError

#: How a service that answers in clear text asks for a token.
_UNAUTHENTICATED = 401

_VERSIONS = {
    "TLS 1.0": ssl.TLSVersion.TLSv1,
    "TLS 1.1": ssl.TLSVersion.TLSv1_1,
    "TLS 1.2": ssl.TLSVersion.TLSv1_2,
    "TLS 1.3": ssl.TLSVersion.TLSv1_3,
}


@check(
    id="TL1",
    title="A public address is not served without TLS unless it is asked for",
    claim=None,
    severity=Severity.HIGH,
    references=("ASVS-4.4.1", "CWE-319"),
    remediation="Refuse to listen beyond loopback without a certificate, unless a flag says so.",
    cost_s=1.5,
    tier="destructive",
)
async def public_cleartext(bench: Bench) -> None:
    """Tokens that cross a network in clear text belong to whoever listens.

    The service is started as `variants.public` of the profile says: with `starts = false` it must
    end by itself, with an exit status of refusal and without a defect's trace, and without serving;
    otherwise it must serve TLS. That it is for want of TLS that it refuses, and not for an argument
    it does not know, is shown by a start with those of `variants.tls` added: that must serve TLS.
    """
    variant = bench.target.variants.get("public")
    target = bench.target.variant("public")
    if variant is None or target is None:
        bench.not_applicable("the profile has no `variants.public`")
    status, url, said = await asyncio.to_thread(_start, Launch(target))
    if variant.starts:
        bench.judge(verdict_of(url.startswith("wss:"), "served with TLS", url or said))
        return
    refused = not url and status is not None and status > 0 and "Traceback" not in said
    actual = f"served {url}" if url else f"ended with status {status}: {said[-200:]}"
    bench.judge(verdict_of(refused, "a refusal to start, with an exit status", actual))
    if refused:
        with bench.variant("with TLS"):
            await _control(bench, target)


def _start(launch: Launch) -> tuple[int | None, str, str]:
    """Return exit status, the URL it serves (empty if it does not), and what it said.

    Raises:
        NoVerdictError: it was not started at all.
    """
    try:
        with launch:
            return None, launch.target.url, ""
    except NoVerdictError as error:
        if launch.exit_status is None:
            raise
        return launch.exit_status, "", str(error)


async def _control(bench: Bench, public: Target) -> None:
    """Show that with TLS the same start serves; else its refusal says nothing of clear text."""
    encrypted = public.variant("tls")
    if encrypted is None:
        bench.cannot_tell(
            "the profile has no `variants.tls`: that it refuses for want of TLS cannot be shown"
        )
    with tempfile.TemporaryDirectory(prefix="wsproof-certificate-") as folder:
        if asks_for_certificate(encrypted):
            encrypted = await asyncio.to_thread(with_certificate, encrypted, Path(folder))
        status, url, said = await asyncio.to_thread(_start, Launch(encrypted))
    if not url.startswith("wss:"):
        actual = f"it served {url}" if url else f"it ended with status {status}: {said[-200:]}"
        bench.cannot_tell(f"with `variants.tls` it must serve TLS at a public address; {actual}")
    bench.judge(verdict_of(True, "served with TLS", url))


@check(
    id="TL2",
    title="TLS 1.2 or later, a certificate that verifies, and no cleartext beside it",
    claim=None,
    severity=Severity.HIGH,
    references=("ASVS-12.1.1", "ASVS-4.4.1", "CWE-319"),
    remediation="Set the lowest version to TLS 1.2, and serve nothing before the handshake.",
    cost_s=1.5,
    tier="gentle",
    variant="tls",
    or_as_it_is=True,
)
async def encryption(bench: Bench) -> None:
    """An old version, or an open door beside the locked one, is as good as no lock.

    With a certificate of an authority made for this run, which alone the probe trusts, TLS 1.0 and
    1.1 must fail, and from `tls.minimum_version` on it must succeed; who trusts other authorities
    must not be satisfied; and a handshake in clear text must be answered with neither 101 nor 401.
    Without `variants.tls` a service at wss:// is taken as it is, its certificate judged by
    `tls.authority`; without one by the system's authorities, and then there is no other to try.
    Beyond this machine no token is shown in clear text. With `tls.required`, a service at ws://
    fails.
    """
    endpoint = bench.server.endpoint
    required = bench.target.tls.required
    if endpoint.tls is None and required:
        bench.judge(verdict_of(False, "wss://, for TLS is required", bench.server.target.url))
        return
    if endpoint.tls is None and "tls" in bench.target.variants:
        bench.cannot_tell("the variant's URL is not wss://")
    if endpoint.tls is None:
        bench.not_applicable("the URL is ws://, TLS not required, and there is no `variants.tls`")
    lowest = bench.target.tls.minimum_version
    for name, version in _VERSIONS.items():
        with bench.variant(name):
            context = await asyncio.to_thread(_trusting, bench)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # that it is old is the point
                context.minimum_version = context.maximum_version = version
            context.set_ciphers("ALL:@SECLEVEL=0")
            served = await _connects(bench, context)
            wanted = name.removeprefix("TLS ") >= lowest
            words = {True: "a connection", False: "no connection"}
            bench.judge(verdict_of(served == wanted, words[wanted], words[served]))
    if bench.target.tls.authority is not None:
        with bench.variant("another authority"):
            served = await _connects(bench, ssl.create_default_context())
            words = {True: "trusted", False: "not trusted"}
            bench.judge(verdict_of(not served, words[False], words[served]))
    with bench.variant("clear text"):
        plain = msgspec.structs.replace(endpoint, tls=None)
        peer = await bench.connect(endpoint=plain)
        # Beyond this machine whoever listens would have the token.
        token = await bench.token() if is_loopback(endpoint.address) else None
        answer = await peer.request(bench.handshake_request(bench.credentials(token)))
        served = answer.upgraded or answer.status == _UNAUTHENTICATED
        bench.judge(verdict_of(not served, "not served", str(answer)))


def _trusting(bench: Bench) -> ssl.SSLContext:
    return bench.server.trust() or ssl.create_default_context()


async def _connects(bench: Bench, context: ssl.SSLContext) -> bool:
    """Tell whether a handshake with this context succeeds and the service answers in it."""
    endpoint = msgspec.structs.replace(bench.server.endpoint, tls=context)
    try:
        peer = await bench.connect(endpoint=endpoint)
    except UnreachableError:
        return False
    token = await bench.token()
    answer = await peer.request(bench.handshake_request(bench.credentials(token)))
    return answer.upgraded
