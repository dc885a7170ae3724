"""Collects where and from what a run is made. Identifies no person, host or path."""

import hashlib
import importlib.metadata
import os
import platform
import resource
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from monitor.contract.evidence import Provenance

#: Distributions whose versions can move a figure.
_LIBRARIES = ("websockets", "uvloop", "msgspec", "locust", "gevent", "hdrhistogram", "numpy")


def utc_now() -> str:
    """Return the current time as RFC 3339 in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Collector:
    """Notes the conditions at the start of a run; `finish` completes them at its end.

    `code` is the folder that is measured; `profile` the target profile, or a folder of several.
    """

    def __init__(self, command: str, seed: int | None, code: Path, profile: Path) -> None:
        self._command = command
        self._seed = seed
        self._code = code
        self._profile = profile
        self._started_at = utc_now()
        self._load_before = os.getloadavg()

    def finish(self) -> Provenance:
        """Return the provenance of the run that ends now."""
        return Provenance(
            started_at=self._started_at,
            finished_at=utc_now(),
            command=self._command,
            seed=self._seed,
            code_sha256=digest_tree(self._code),
            profile_sha256=_digest(self._profile),
            commit=_commit(self._code),
            host=hashed_host(),
            cpu_model=_cpu_model(),
            cpu_count=os.cpu_count() or 0,
            memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            kernel=f"{platform.system()} {platform.release()}",
            open_files_limit=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            python=f"{platform.python_implementation()} {platform.python_version()}",
            libraries=dict(_versions(_LIBRARIES)),
            load_average_before=self._load_before,
            load_average_after=os.getloadavg(),
        )


def hashed_host() -> str:
    """Return this machine's name as evidence has it: enough to tell two apart, no name."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:12]


def _digest(path: Path) -> str:
    return digest_tree(path) if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()


def digest_tree(folder: Path) -> str:
    """Return one SHA-256 over the names and bytes of all source files under `folder`."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _versions(names: Iterable[str]) -> Iterable[tuple[str, str]]:
    for name in names:
        try:
            yield name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue


def _commit(folder: Path) -> str | None:
    """Return the checkout's commit, with `+changes` where files differ, or None outside one."""
    git = ["git", "-C", str(folder)]
    try:
        head = subprocess.run(
            [*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        )
        changes = subprocess.run(
            [*git, "status", "--porcelain"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+changes" if changes.stdout.strip() else "")


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
