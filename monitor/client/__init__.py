"""For people's own programs: report a pipeline's events to a monitor, or listen to them.

```python
from monitor.client import Publisher

with Publisher("ws://localhost:4001", token) as publisher:
    with publisher.phase("writer") as phase:
        phase.progress(45)
```

Needs nothing of the server: it speaks the wire of docs/protocol.md.
"""

from monitor.client.connector import Patience
from monitor.client.errors import (
    ClientError,
    ForbiddenError,
    LinkLostError,
    ProtocolError,
    UnauthorizedError,
    UnreachableError,
)
from monitor.client.messages import Event, Gap, Subscribed
from monitor.client.outbox import Tally
from monitor.client.publisher import AsyncPublisher, Publisher
from monitor.client.reporting import Phase
from monitor.client.subscriber import AsyncSubscriber, Position, Selection, Subscriber

__all__ = [
    "AsyncPublisher",
    "AsyncSubscriber",
    "ClientError",
    "Event",
    "ForbiddenError",
    "Gap",
    "LinkLostError",
    "Patience",
    "Phase",
    "Position",
    "ProtocolError",
    "Publisher",
    "Selection",
    "Subscribed",
    "Subscriber",
    "Tally",
    "UnauthorizedError",
    "UnreachableError",
]
