"""Packs the pages into one archive: the same bytes for the same pages, with checksums."""

import gzip
import hashlib
import io
import tarfile

from scripts.pipeline.build import Build, Progress

ARCHIVE = "documentation.tar.gz"
CHECKSUMS = "SHA256SUMS"


def package(build: Build, progress: Progress) -> dict[str, str]:
    """Write the archive and its checksum; return the SHA-256 of every page and of the archive."""
    contents = {
        page.relative_to(build.output).as_posix(): page.read_bytes() for page in sorted(build.pages)
    }
    progress.expect(sum(map(len, contents.values())))
    digests: dict[str, str] = {}
    for name, content in contents.items():
        digests[name] = hashlib.sha256(content).hexdigest()
        progress.step(name, len(content))
    archive = pack({**contents, CHECKSUMS: checksums(digests)})
    build.replace(ARCHIVE, archive, progress.phase)
    digests[ARCHIVE] = hashlib.sha256(archive).hexdigest()
    build.replace(CHECKSUMS, checksums(digests), progress.phase)
    return digests


def checksums(digests: dict[str, str]) -> bytes:
    """Return digests as `sha256sum --check` reads them."""
    return "".join(f"{digest}  {name}\n" for name, digest in digests.items()).encode()


def pack(contents: dict[str, bytes]) -> bytes:
    """Return a compressed archive without times, owners or any other trace of its making."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in sorted(contents.items()):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o644
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), mtime=0)
