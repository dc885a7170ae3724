"""A certificate for this machine, made for the occasion."""

import subprocess
from pathlib import Path


def self_made(folder: Path) -> tuple[Path, Path]:
    """Return the paths of a new certificate for localhost and 127.0.0.1, and of its key."""
    paths = folder / "certificate.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1"
    names = ["-subj", "/CN=localhost"]
    names += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-out", str(paths[0]), "-keyout", str(paths[1])]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
    return paths
