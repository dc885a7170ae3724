"""Figures as a reader wants them: three significant digits, SI units, exact counts."""

import math
from collections.abc import Mapping

from monitor.contract.evidence import Metric

#: Counted things: every digit matters, so they are never rounded.
COUNTS = frozenset(
    {"clients", "events", "deliveries", "deaths", "checks", "connections", "delays", "requests"}
    | {"joins", "knocks", "resumes", "strangers", "tries", "types", "ways"}
)

_SCALES: Mapping[str, tuple[tuple[float, str], ...]] = {
    "us": ((1e6, " s"), (1e3, " ms"), (1, " µs")),
    "bytes": ((1e9, " GB"), (1e6, " MB"), (1e3, " kB"), (1, " B")),
    "bytes/h": ((1e9, " GB/h"), (1e6, " MB/h"), (1e3, " kB/h"), (1, " B/h")),
    "events/s": ((1, "/s"),),
    "deliveries/s": ((1, "/s"),),
    "connections/s": ((1, "/s"),),
    "percent": ((1, " %"),),
}

#: From here on a latency is told in milliseconds: 912 µs and 1.03 ms in one table compare badly.
_MILLISECONDS_FROM_US = 100


def quantity(value: float, unit: str, apart_from: float | None = None) -> str:
    """Return `value` (in `unit`) for reading: `0.912 ms`, `1,100/s`, `41.2 MB`, `550,000`.

    Rounded to three significant digits; to more where it would otherwise read the same as
    `apart_from` (a bound it does not equal).
    """
    if unit in COUNTS:
        return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"
    scale, suffix = _scale(value, unit)
    text = significant(value / scale, 3)
    for digits in range(3, 10):
        text = significant(value / scale, digits)
        if (
            apart_from is None
            or value == apart_from
            or text != significant(apart_from / scale, digits)
        ):
            break
    return text + suffix


def tick(value: float, unit: str) -> str:
    """Return a round value for an axis: `5 ms`, not `5.00 ms`."""
    scale, suffix = _scale(value, unit)
    return f"{value / scale:,.6g}{suffix}"


def significant(value: float, digits: int) -> str:
    """Return `value` rounded to so many significant digits, with thousands separators."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    rounded = round(value, places)
    if rounded and math.floor(math.log10(abs(rounded))) > math.floor(math.log10(abs(value))):
        places -= 1  # 9.996 becomes 10.0, not 10.00
    return f"{rounded:,.{max(places, 0)}f}"


def measured(metric: Metric | None, absent: str = "not measured") -> str:
    """Return a metric with its interval over repeats, where it has one that is not a point."""
    if metric is None:
        return absent
    text = quantity(metric.value, metric.unit)
    if metric.interval is None or metric.interval[0] == metric.interval[1]:
        return text
    low, high = metric.interval
    scale, suffix = _scale(metric.value, metric.unit)
    return f"{text} [{significant(low / scale, 3)}–{significant(high / scale, 3)}{suffix}]"


def code(text: str) -> str:
    """Return words of a machine as inline code; a backtick in them cannot end it."""
    return f"`{text.replace('`', chr(39))}`"


def plural(count: float, noun: str) -> str:
    """Return `1 repeat`, `5 repeats`."""
    return f"{count:,g} {noun}" + ("" if count == 1 else "s")


def _scale(value: float, unit: str) -> tuple[float, str]:
    if unit == "us" and _MILLISECONDS_FROM_US <= abs(value) < 1e6:
        return 1e3, " ms"
    scales = _SCALES.get(unit, ((1, f" {unit}"),))
    return next((pair for pair in scales if abs(value) >= pair[0]), scales[-1])
