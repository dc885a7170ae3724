"""The calibration suite in its short form, and the server it rests on."""

from pathlib import Path

import pytest

from tests.calibration.behaviour import parse
from tests.calibration.known_server import frames, text_frame
from tests.calibration.suite import SHORT, calibrate, table


def test_a_behaviour_names_the_trait_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="there is no trait 'slow'"):
        parse("lose=7,slow=1")


def test_the_same_event_meets_the_same_delay_in_every_run() -> None:
    one, other = parse("log-normal=0.005:0.6"), parse("log-normal=0.005:0.6")
    delays = [one.delay_s(number) for number in range(1000)]
    assert delays == [other.delay_s(number) for number in range(1000)]
    assert sorted(delays)[500] == pytest.approx(0.005, rel=0.1)
    assert sum(parse("bimodal=0.002:0.05:0.1").delay_s(n) == 0.05 for n in range(1000)) in range(
        70, 130
    )


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_the_known_server_reads_frames_of_every_length_however_they_are_cut(size: int) -> None:
    payload = bytes(number % 251 for number in range(size))
    mask = b"\x01\x02\x03\x04"
    head = bytearray(text_frame(payload)[: -size or None])
    head[1] |= 0x80
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    wire = bytes(head) + mask + masked
    unread = bytearray(wire + wire[:-1])
    assert frames(unread) == [(1, payload)]
    unread += wire[-1:]
    assert frames(unread) == [(1, payload)]
    assert not unread


@pytest.mark.slow
@pytest.mark.alone
def test_what_was_injected_comes_back(tmp_path: Path) -> None:
    calibrated = calibrate(SHORT, tmp_path, tmp_path / "runs")
    table(calibrated, print)
    assert [one.what for one in calibrated.findings if not one.holds] == []
    assert len(calibrated.findings) == 22
