"""Load over TLS: the same books and clocks, against a monitor with a certificate of its own."""

import json
import ssl
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from loadtests.accounting.histogram import Recorder
from loadtests.connections.tls import Tls, tls_context
from loadtests.plan import Plan
from monitor.contract import verdicts
from monitor.contract.promises import Tls as TlsPromise
from monitor.contract.target import Publish, Target
from monitor.contract.verdicts import UsageError
from tests.certificates import self_made
from tests.loadtests.conftest import Driven

MONITOR = Path(verdicts.__file__).parents[1] / "target.toml"

TARGET = Target(name="t", url="wss://localhost:1/", publish=Publish(message="{event}"))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for this machine, and its key."""
    return self_made(tmp_path_factory.mktemp("certificate"))


def served(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


def shake_hands(client: Tls, server: ssl.SSLContext) -> tuple[ssl.SSLObject, ssl.MemoryBIO]:
    """Carry bytes between a client and a server until both are done."""
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    peer = server.wrap_bio(coming, going, server_side=True)
    done = False
    while not (done or client.fault):
        coming.write(client.outgoing())
        try:
            peer.do_handshake()
            done = True
        except ssl.SSLWantReadError:
            pass  # the client's answer is still to come
        client.read(going.read())
    coming.write(client.outgoing())
    return peer, going


def test_what_is_written_before_the_handshake_is_over_goes_out_after_it(
    certificate: tuple[Path, Path],
) -> None:
    client = Tls(ssl.create_default_context(cafile=str(certificate[0])), "localhost")
    client.write(b"early")
    peer, going = shake_hands(client, served(certificate))
    assert peer.read() == b"early"
    peer.write(b"hello" * 50_000)
    received = b""
    sent = going.read()
    for start in range(0, len(sent), 777):
        received += client.read(sent[start : start + 777])
    assert received == b"hello" * 50_000
    assert client.fault == ""


def test_a_certificate_nobody_vouches_for_is_refused(certificate: tuple[Path, Path]) -> None:
    context = tls_context(TARGET)
    assert context is not None
    client = Tls(context, "localhost")
    with pytest.raises(ssl.SSLError):
        shake_hands(client, served(certificate))[0].read()
    assert "TLS failed: CERTIFICATE_VERIFY_FAILED" in client.fault


def test_an_authority_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    target = msgspec.structs.replace(
        TARGET, path=tmp_path / "target.toml", tls=TlsPromise(authority="none.pem")
    )
    with pytest.raises(UsageError, match=r"key `tls.authority`: .*none.pem cannot be read"):
        tls_context(target)


@pytest.mark.slow
def test_load_over_tls_is_measured_like_any_other(
    certificate: tuple[Path, Path],
    tmp_path: Path,
    plan: Callable[..., Plan],
    drive: Callable[..., Driven],
) -> None:
    flags = ["--tls-certificate", str(certificate[0]), "--tls-key", str(certificate[1])]
    text = MONITOR.read_text(encoding="utf-8")
    command = '"--state", "{state}"]'
    assert command in text
    text = text.replace(command, f'"--state", "{{state}}", {json.dumps(flags)[1:-1]}]', 1)
    text = text.replace('claims = "claims.toml"\n', "", 1)
    profile = tmp_path / "target.toml"
    profile.write_text(f'{text}\n[tls]\nauthority = "{certificate[0]}"\n', encoding="utf-8")
    driven = drive(plan(profile))
    part = driven.result.part
    assert driven.result.faults == ()
    assert (part.admitted, part.held, part.lost, part.duplicated) == (4, 4, 0, 0)
    assert part.expected == part.received == 4 * driven.result.passage.scheduled
    assert driven.result.passage.acknowledged == driven.result.passage.scheduled
    assert Recorder.restore(part.response).count == part.received
