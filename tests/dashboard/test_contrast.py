"""WCAG 2.2 AA contrast of the style sheet's colours, in both schemes, live and stale.

axe-core looks at the page as it is styled; the filter that takes colour from what is stale it does
not see.
"""

import re
from pathlib import Path

import pytest

STYLE = (Path(__file__).parents[2] / "monitor/dashboard/style.css").read_text()
#: How much colour the stale board keeps.
STALE = float(re.findall(r"\.stale \.board \{ filter: saturate\(([\d.]+)\)", STYLE)[0])

TEXT, GRAPHICS = 4.5, 3.0
ON_PANEL = ("ink", "soft", "running", "completed", "failed", "warn", "accent")
PAIRS = [
    *((name, "panel", TEXT) for name in ON_PANEL),
    ("ink", "ground", TEXT),
    ("soft", "raised", TEXT),
    ("ink", "raised", TEXT),
    ("ink", "failed-ground", TEXT),
    ("soft", "failed-ground", TEXT),
    ("failed", "failed-ground", TEXT),
    ("soft", "warn-ground", TEXT),
    ("warn", "warn-ground", TEXT),
    ("on-accent", "accent", TEXT),
    ("edge", "panel", GRAPHICS),
    *((name, "track", GRAPHICS) for name in ("running", "completed", "failed", "soft")),
]

Colour = tuple[float, float, float]


def colours(scheme: str) -> dict[str, Colour]:
    light, dark, _forced = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
    found = dict(re.findall(r"--([\w-]+): #([0-9a-f]{6});", light))
    if scheme == "dark":
        found |= dict(re.findall(r"--([\w-]+): #([0-9a-f]{6});", dark))
    return {name: channels(value) for name, value in found.items()}


def channels(value: str) -> Colour:
    red, green, blue = (int(value[at : at + 2], 16) / 255 for at in (0, 2, 4))
    return red, green, blue


def saturated(colour: Colour, share: float) -> Colour:
    """Return the colour as `filter: saturate(share)` shows it (Filter Effects 1, feColorMatrix)."""
    grey = sum(part * each for part, each in zip((0.213, 0.715, 0.072), colour, strict=True))
    red, green, blue = (grey + share * (each - grey) for each in colour)
    return red, green, blue


def luminance(colour: Colour) -> float:
    """WCAG 2.2, relative luminance."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return sum(part * each for part, each in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: Colour, other: Colour) -> float:
    """WCAG 2.2, contrast ratio."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_the_measure_is_the_one_of_the_guidelines() -> None:
    assert contrast(channels("000000"), channels("ffffff")) == pytest.approx(21)
    assert contrast(channels("777777"), channels("ffffff")) == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("share", [1.0, STALE], ids=["live", "stale"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_colour_stands_out_from_its_ground(scheme: str, share: float) -> None:
    found = colours(scheme)
    weak = {
        f"{name} on {ground}": round(ratio, 2)
        for name, ground, needed in PAIRS
        if (ratio := contrast(saturated(found[name], share), saturated(found[ground], share)))
        < needed
    }
    assert weak == {}
