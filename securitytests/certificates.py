"""A certificate authority made for one run, and a server certificate that only it vouches for.

Made with the `openssl` command, in a folder of the caller's. The authority is trusted by nobody
but the probe, so that verifying it means something; both last a day.
"""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec

from monitor.contract.target import Target, fill
from securitytests.judging import CannotTellError

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")

#: The names under which a service on this machine may be reached.
_NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"

#: What a profile writes where the files shall stand.
_PLACES = ("{certificate}", "{key}")


class Certified(msgspec.Struct, frozen=True):
    """PEM files: the authority to trust, the server's certificate and its key."""

    authority: Path
    certificate: Path
    key: Path


def asks_for_certificate(target: Target) -> bool:
    """Tell whether the target's start has a place for a certificate or a key."""
    command = () if target.start is None else target.start.command
    return any(place in part for part in command for place in _PLACES)


def with_certificate(target: Target, folder: Path) -> Target:
    """Return the target started with a certificate made in `folder`, its authority trusted.

    Raises:
        CannotTellError: openssl is missing or fails.
    """
    assert target.start is not None  # noqa: S101 - `asks_for_certificate` has looked
    made = certify(folder)
    values = {"certificate": str(made.certificate), "key": str(made.key)}
    command = tuple(fill(part, values) for part in target.start.command)
    return msgspec.structs.replace(
        target,
        start=msgspec.structs.replace(target.start, command=command),
        tls=msgspec.structs.replace(target.tls, authority=str(made.authority)),
    )


def certify(folder: Path) -> Certified:
    """Make an authority and a certificate of it for this machine's own names.

    Raises:
        CannotTellError: openssl is missing or fails.
    """
    openssl = shutil.which("openssl")
    if openssl is None:
        raise CannotTellError(
            "the openssl command is missing, which makes the certificate; install it with:"
            " apt-get install -y openssl"
        )
    made = Certified(folder / "authority.pem", folder / "certificate.pem", folder / "key.pem")
    authority_key = folder / "authority-key.pem"
    request = (openssl, "req", "-x509", *_KEY, "-days", "1")
    _run(
        (*request, "-subj", "/CN=wsproof authority of one run"),
        ("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        ("-keyout", str(authority_key), "-out", str(made.authority)),
    )
    _run(
        (*request, "-subj", "/CN=localhost", "-addext", _NAMES),
        ("-addext", "basicConstraints=critical,CA:FALSE"),
        ("-CA", str(made.authority), "-CAkey", str(authority_key)),
        ("-keyout", str(made.key), "-out", str(made.certificate)),
    )
    return made


def _run(*parts: Sequence[str]) -> None:
    command = [argument for part in parts for argument in part]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        raise CannotTellError(f"openssl cannot make a certificate: {said[-300:]}") from error
