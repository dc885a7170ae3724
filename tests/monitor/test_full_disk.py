"""A journal on a disk that is really full: publications wait, readers go on, and it recovers."""

import subprocess
from pathlib import Path

import pytest

from .kit import event
from .peers import Peer


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("the platform lets this user mount no disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # noqa: S607 - as in any shell


@pytest.mark.slow
def test_a_full_disk_refuses_publications_keeps_serving_and_recovers(small_disk, start_monitor):
    monitor = start_monitor(str(small_disk / "state"))
    ballast = small_disk / "ballast"
    writing = {"additional_headers": {"Authorization": f"Bearer {monitor.token('publish')}"}}
    with (
        Peer(monitor.url, **writing) as writer,
        Peer(f"{monitor.url}?token={monitor.token()}") as reader,
    ):
        writer.hear()
        reader.until("subscribed")
        assert writer.publish(event(id="before"))["offsets"] == [1]
        fill(ballast)
        batch = [event(message="x" * 1000) for _ in range(100)]
        answer = {"type": "ack"}
        stored = 1
        while answer["type"] == "ack":
            stored = answer.get("offsets", [stored])[-1]
            answer = writer.publish(*batch)
        assert (answer["code"], answer["retryable"]) == ("unavailable", True)
        assert answer["retry_after"] > 0
        heard = [reader.hear()["offset"] for _ in range(stored)]
        assert heard == list(range(1, stored + 1))
        with Peer(f"{monitor.url}?token={monitor.token()}") as newcomer:
            assert newcomer.until("subscribed")[-1]["offset"] == stored
        ballast.unlink()
        assert writer.publish(event(id="before"), event())["offsets"] == [1, stored + 1]
        assert reader.hear()["offset"] == stored + 1
    assert monitor.log.count("nothing can be stored") == 1
    monitor.kill()
    monitor.start()
    with Peer(f"{monitor.url}?token={monitor.token()}") as newcomer:
        assert newcomer.until("subscribed")[-1]["offset"] == stored + 1


def fill(path: Path) -> None:
    """Write until there is no more space."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError as error:
            assert "space" in str(error)  # noqa: PT017 - the end of the loop, not a failure
