"""What a server of known behaviour does to each event: written as text, decided by number.

A behaviour is a comma-separated list of traits, `name` or `name=value:value`, times in seconds:

    null                            nothing: every event goes out at once
    constant=0.02                   every event is held 20 ms
    bimodal=0.002:0.05:0.1          held 2 ms, a tenth of them 50 ms
    log-normal=0.005:0.6            held by a log-normal time of median 5 ms and this sigma
    stall=900:0.5                   at event 900 the server stands still for half a second
    lose=7, double=7, swap=7, thin=7
                                    of every seven events the last is lost, sent twice, sent
                                    after the next one, or left out with an announcement
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

#: The same events meet the same delays in every run.
_SEED = 5


@dataclass(frozen=True)
class Behaviour:
    """One server behaviour; `text` is how it was written."""

    text: str
    delay_s: Callable[[int], float]
    stall: tuple[int, float] | None = None
    periods: dict[str, int] = field(default_factory=dict)

    def does(self, fault: str, number: int) -> bool:
        """Tell whether this fault hits event `number`."""
        period = self.periods.get(fault)
        return period is not None and number % period == period - 1


def parse(text: str) -> Behaviour:
    """Read one behaviour; a trait that does not exist is a ValueError that names it."""
    delay: Callable[[int], float] = _none
    stall = None
    periods: dict[str, int] = {}
    for trait in text.split(","):
        name, _, rest = trait.partition("=")
        values = [float(value) for value in rest.split(":")] if rest else []
        match name:
            case "null":
                pass
            case "constant":
                delay = _constant(*values)
            case "bimodal":
                delay = _bimodal(*values)
            case "log-normal":
                delay = _log_normal(*values)
            case "stall":
                stall = (int(values[0]), values[1])
            case "lose" | "double" | "swap" | "thin":
                periods[name] = int(values[0])
            case _:
                raise ValueError(f"behaviour {text!r}: there is no trait {name!r}")
    return Behaviour(text, delay, stall, periods)


def _none(_number: int) -> float:
    return 0.0


def _constant(seconds: float) -> Callable[[int], float]:
    return lambda _number: seconds


def _bimodal(low_s: float, high_s: float, share: float) -> Callable[[int], float]:
    return lambda number: high_s if _draw(number).random() < share else low_s


def _log_normal(median_s: float, sigma: float) -> Callable[[int], float]:
    return lambda number: median_s * _draw(number).lognormvariate(0, sigma)


def _draw(number: int) -> random.Random:
    return random.Random(_SEED * 1_000_003 + number)  # noqa: S311 - a schedule, not a secret
