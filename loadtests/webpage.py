"""A tab of our own in Locust's page: percentiles, reach and whether to believe them.

Locust's page asks for its statistics every two seconds; ours travel in the same answer, worked
out when they are asked for.
"""

import json
from collections.abc import Callable
from typing import Any

from flask import Response, request

from loadtests.accounting.histogram import PERCENTILES
from loadtests.conductor import Standing
from loadtests.figures import enough

_KEY = "wsproof"
_TITLE = "Delivery"
_COLUMNS = (("figure", "Figure"), ("response", "Response time"), ("service", "Service time"))

Row = dict[str, str]


def add_tab(web_ui: Any, standing: Callable[[], Standing | None]) -> None:
    """Add the tab to a Locust web page; `standing` says how the repeat stands, if there is one."""
    structure = [{"key": key, "title": title} for key, title in _COLUMNS]
    web_ui.template_args["extended_tabs"] = [{"title": _TITLE, "key": _KEY}]
    web_ui.template_args["extended_tables"] = [{"key": _KEY, "structure": structure}]

    def extend(response: Response) -> Response:
        if request.path == "/stats/requests" and response.is_json:
            stats = [{"key": _KEY, "data": rows(standing())}]
            response.set_data(json.dumps({**(response.json or {}), "extended_stats": stats}))
        return response

    web_ui.app.after_request(extend)


def rows(standing: Standing | None) -> list[Row]:
    """Return the table: one figure a row."""
    if standing is None:
        return [_row("verdict", "not started")]
    found = [
        _row(
            name,
            *(
                _milliseconds(recorder.percentile_us(percent))
                if enough(percent, standing.events)
                else "n too small"
                for recorder in (standing.response, standing.service)
            ),
        )
        for name, percent in PERCENTILES.items()
    ]
    found.append(
        _row("mean", *(_milliseconds(one.mean_us) for one in (standing.response, standing.service)))
    )
    found.append(
        _row("max", *(_milliseconds(one.max_us) for one in (standing.response, standing.service)))
    )
    reach = f"{100 * standing.received / standing.expected:.3f} %" if standing.expected else ""
    return [
        *found,
        _row("clients", f"{standing.clients:,}"),
        _row("reach", reach),
        _row("lost so far", f"{standing.lost:,}"),
        _row("verdict", standing.verdict),
    ]


def _row(figure: str, response: str, service: str = "") -> Row:
    return {"figure": figure, "response": response, "service": service}


def _milliseconds(value_us: float | None) -> str:
    return "" if value_us is None else f"{value_us / 1000:.3f} ms"
