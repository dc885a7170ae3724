"""`locust -f loadtests/locustfile.py -u 200`: 200 WebSocket clients, one user each.

`wsproof load` runs the same code, one Locust process a repeat. What it measures is written to
the runs folder when Locust ends.
"""

from locust import events

from loadtests.entrance import add_arguments, install
from loadtests.users import WebSocketUser


class Subscriber(WebSocketUser):
    """One subscriber."""


events.init_command_line_parser.add_listener(add_arguments)  # type: ignore[no-untyped-call]
events.init.add_listener(install(Subscriber))  # type: ignore[no-untyped-call]
