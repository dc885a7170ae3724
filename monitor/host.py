"""The running monitor as its connections see it: shared state, and each decision's owner.

Implements `connection.Host`. Knows no listening socket and no signal; those are the server's.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping

from websockets.http11 import Request

from monitor import wire
from monitor.admission import Admission, Admissions, Refusal
from monitor.authority import Authority
from monitor.connection import Connection
from monitor.effects import Close, Store, Stream
from monitor.fanout import Fanout
from monitor.gate import Gate
from monitor.handshake import Asked, Origins
from monitor.incidents import Incidents
from monitor.journal import Journal
from monitor.journalfile import JournalError
from monitor.metrics import Metrics, rss_bytes
from monitor.pages import Answer, Pages, negotiated, problem
from monitor.publication import Publications
from monitor.reload import reload
from monitor.settings import Settings
from monitor.statefolder import StateFolder
from monitor.tokens import Grant
from monitor.wheel import Wheel
from monitor.wire import CloseCode, ErrorCode

log = logging.getLogger("monitor")

#: Resolution of deadlines, and how often revocations are looked for.
SWEEP_S = 0.1

#: Answers counted by their status; the others are counted by their reason where it is known.
_REFUSING_STATUSES = frozenset({400, 404, 405, 414, 426, 431, 505})

#: How often the journal forgets what it need not keep.
_PRUNE_S = 1.0

#: Clients told to come back after a restart are spread over this many seconds.
_RETURN_SPREAD_S = 2.0


class Monitor:
    """One running monitor.

    Args:
        clock: monotonic seconds.
        wall: Unix seconds.
    """

    def __init__(
        self,
        settings: Settings,
        state: StateFolder,
        origins: Origins,
        *,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self.settings = settings
        self.origins = origins
        self.now = clock
        self.wall_time = wall
        self.metrics = Metrics()
        self._incidents = Incidents(self.metrics)
        self.draining = False
        self.delivered = asyncio.Event()
        self.emptied = asyncio.Event()
        self._connections: set[Connection] = set()
        self._wheel: Wheel[Connection] = Wheel(SWEEP_S, clock())
        self._gate = Gate(settings)
        self._authority = Authority(state, wall)
        pages = Pages(self)
        self._admissions = Admissions(
            self, self, self._gate, self._authority, pages, self._incidents
        )
        self._journal = Journal.open(
            state.journal,
            max_events=settings.journal_events,
            max_bytes=settings.journal_bytes,
            max_age_s=settings.journal_age_s,
            synchronous=settings.synchronous,
        )
        self._prune_at = clock()
        self._journal_failing = False
        self._log = reload(self._journal, settings, wall())
        self._fanout = Fanout(self._log, self._schedule)
        self._flush_scheduled = False
        self._publications = Publications(
            self._journal,
            self._log,
            self._fanout,
            self.metrics,
            schedule=self._schedule,
            clock=clock,
            wall=wall,
        )

    # What sessions ask (session.Rules)

    def verify(self, token: str) -> Grant:
        """Return what a token grants now, or raise TokenError."""
        grant = self._authority.verify(token)
        self.metrics.authentications += 1
        return grant

    def admit(self, address: str, now: float) -> float:
        """Count a request of an address."""
        wait = self._gate.admit(address, now)
        if wait > 0:
            self._incidents.refuse("requests", address, now)
        return wait

    def failed(self, address: str, now: float) -> float:
        """Count a failed authentication of an address."""
        wait = self._gate.failed(address, now)
        self._incidents.refuse("failures" if wait > 0 else "authentication", address, now)
        return wait

    def quota(self, subject: str, events: int, now: float) -> float:
        """Take events from a subject's publishing quota."""
        wait = self._gate.quota(subject, events, now)
        if wait > 0:
            self._incidents.refuse("quota", f"subject {subject}", now)
        return wait

    def accepts_events(self) -> bool:
        """Tell whether publications can be stored now."""
        return not self.draining

    def refused(self, code: ErrorCode, address: str) -> None:
        """Count a message refused for what it is."""
        self._incidents.refuse(code, address, self.now())

    # What connections ask (connection.Host)

    def answered(self, answer: Answer) -> None:
        """Count an answer that refuses a request for what it is, by its status."""
        if answer.status in _REFUSING_STATUSES:
            self.metrics.refuse(f"http_{answer.status}")

    def broke(self) -> None:
        """Count a breach of the WebSocket protocol."""
        self.metrics.refuse("protocol")

    def enter(self, connection: Connection, peer: str) -> Refusal | None:
        """Take a slot for a new connection, or return how it is refused."""
        self.metrics.connections += 1
        self._connections.add(connection)
        connection.entered = self._gate.enter(peer)
        if self._gate.proxied(peer):
            self._gate.unname(connection.entered)  # its client is known once the headers are there
        return self._without_slot(connection)

    def identify(self, connection: Connection, request: Request | None) -> Refusal | None:
        """Settle who the client is, now that headers are known."""
        if not self._gate.proxied(connection.peer):
            return None
        forwarded = [] if request is None else request.headers.get_all("X-Forwarded-For")
        self._gate.identify(connection.entered, connection.peer, forwarded)
        return self._without_slot(connection)

    def leave(self, connection: Connection) -> None:
        """Take back all a connection holds."""
        self._fanout.unsubscribe(connection)
        self._wheel.forget(connection)
        self._connections.discard(connection)
        self._gate.leave(connection.entered, self.now())
        if self.draining and self._fanout.level:
            self.delivered.set()
        if not self._connections:
            self.emptied.set()

    def ask(
        self, connection: Connection, asked: Asked, refusal: Refusal | None
    ) -> Answer | Admission:
        """Decide on a readable request; a person is refused in words."""
        decided = self._admissions.judge(asked, connection.entered, refusal, self.now())
        if isinstance(decided, Admission):
            if decided.session.grant is not None:
                self.metrics.authentications += 1
            return decided
        html = asked.prefers_html and not asked.upgrade
        return negotiated(decided, html=html, now=self.wall_time())

    def watch(self, connection: Connection, deadline: float) -> None:
        """Have the connection checked at the deadline."""
        self._wheel.watch(connection, deadline)

    def stream(self, connection: Connection, stream: Stream) -> None:
        """Subscribe a connection: where it was if it can be resumed, or with the phase states."""
        since = stream.since
        if (
            since is not None
            and since.epoch == self._log.epoch
            and self._log.holds_after(since.offset)
        ):
            count = self._log.count(since.offset, stream.filter)
            fence = self._fanout.fence(since.offset, recovered=True, count=count, ref=stream.ref)
            connection.deliver(fence, self.now())
            self._fanout.subscribe(connection, stream.filter, since.offset)
        else:
            self._fanout.start(connection, stream.filter, stream.ref)

    def silence(self, connection: Connection) -> None:
        """Unsubscribe a connection."""
        self._fanout.unsubscribe(connection)

    def closing(self, connection: Connection, close: Close) -> None:
        """Stop deliveries to a connection the monitor ends."""
        self._fanout.unsubscribe(connection)
        if close.code is CloseCode.RESTARTING:
            self.metrics.evict(close.code.name.lower())
            return
        why = f"{close.code:d} {close.reason}"
        self._incidents.evict(close.code.name.lower(), why, connection.entered.key, self.now())

    def store(self, connection: Connection, store: Store) -> None:
        """Queue events for the next commit."""
        self._publications.store(connection, store)

    def pause(self, connection: Connection) -> None:
        """Leave a connection that cannot be written to where it is."""
        self._fanout.pause(connection)

    def resume(self, connection: Connection) -> None:
        """Go on with a connection that can be written to again."""
        self._fanout.resume(connection)

    # What pages show (pages.Status)

    def ready(self) -> bool:
        """Tell whether new clients are welcome."""
        return not self.draining

    def exposition(self) -> bytes:
        """Return the metrics in Prometheus' text format."""
        gauges = {
            "connections_open": len(self._connections),
            "subscribers": len(self._fanout),
            "lag_events": self._fanout.lag(),
            "log_bytes": self._log.frame_bytes,
            "offset": self._log.last,
            "rss_bytes": rss_bytes(),
        }
        totals = {
            "deliveries": self._fanout.deliveries,
            "thinned": self._fanout.thinned,
            "expired": self._fanout.expired,
        }
        return self.metrics.expose(gauges, totals)

    def state(self) -> Mapping[str, object]:
        """Return the current phases and where the log stands."""
        return {
            "epoch": self._log.epoch,
            "first": self._log.first,
            "offset": self._log.last,
            "connections": len(self._connections),
            "subscribers": len(self._fanout),
            "phases": list(self._log.states()),
        }

    # What the server does

    def connect(self) -> Connection:
        """Return the protocol of a new connection."""
        return Connection(self)

    def sweep(self) -> None:
        """Carry out deadlines that have passed, revocations and housekeeping."""
        now = self.now()
        self._take_up_revocations(now)
        for connection in self._wheel.due(now):
            connection.check(now)
        self._gate.sweep(now)
        self._incidents.sweep(now)
        if now >= self._prune_at:
            self._prune_at = now + _PRUNE_S
            self._keep_journal()

    def drain(self) -> None:
        """Take no more publications; `delivered` is set once everyone has what there is."""
        self.draining = True
        self._flush()

    def dismiss(self) -> None:
        """Send every client away; `emptied` is set once they are gone."""
        self.emptied.clear()
        for connection in list(self._connections):
            wait = round(random.uniform(0.1, _RETURN_SPREAD_S), 3)  # noqa: S311 - jitter
            farewell = wire.encode("server_shutdown", retry_after=wait)
            connection.end(CloseCode.RESTARTING, "restarting", farewell)
        if not self._connections:
            self.emptied.set()

    def close(self) -> None:
        """Drop whoever is left and close the journal."""
        for connection in list(self._connections):
            connection.drop()
        self._journal.close()

    def _take_up_revocations(self, now: float) -> None:
        if not self._authority.poll():
            return
        for connection in list(self._connections):
            session = connection.session
            if session is None or session.grant is None:
                continue
            if self._authority.refuses(session.grant):
                connection.carry_out(session.revoked(now))
            else:
                session.ends_by(self._authority.end_of(session.grant), now)
                self._wheel.watch(connection, session.next_deadline())

    def _keep_journal(self) -> None:
        """Forget what the journal keeps too long; what hinders it is told once, not each time."""
        try:
            self._journal.check()
            self._journal.prune(self.wall_time())
        except JournalError as error:
            if not self._journal_failing:
                log.error("%s", error)  # noqa: TRY400 - the text says all
            self._journal_failing = True
        else:
            self._journal_failing = False

    def _without_slot(self, connection: Connection) -> Refusal | None:
        """Return the refusal of a connection that got no slot; drop it if there are too many."""
        if connection.entered.slot:
            return None
        if self._gate.overcrowded(connection.entered):
            connection.drop()
        if self._gate.full:
            reason, wait_s = "server_full", self.settings.ping_interval_s
            answer = problem(503, "the server is full", retry_after=wait_s)
        else:  # whoever holds the others decides when; to ask again soon does no harm
            reason, wait_s = "connections", 1.0
            answer = problem(429, "too many connections", retry_after=wait_s)
        self._incidents.refuse(reason, connection.entered.key, self.now())
        return Refusal(reason, wait_s, answer)

    def _schedule(self) -> None:
        """Flush once in the next turn of the event loop, or after the batching delay."""
        if self._flush_scheduled:
            return
        self._flush_scheduled = True
        loop = asyncio.get_running_loop()
        if self.settings.max_batch_delay_s:
            loop.call_later(self.settings.max_batch_delay_s, self._flush)
        else:
            loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_scheduled = False
        self._publications.flush()
        if self.draining and self._fanout.level:
            self.delivered.set()
