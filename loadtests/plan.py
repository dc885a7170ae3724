"""What is to be measured: a scenario's defaults, the command line's changes, and their limits."""

import resource
import secrets
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from loadtests.addresses import Allotment, allot
from loadtests.assignment import Assignment
from loadtests.replay import load_trace
from loadtests.scenarios import Scenario
from monitor.contract.claims import Claim, load_claims
from monitor.contract.evidence import Scalar
from monitor.contract.guard import permit
from monitor.contract.target import Target
from monitor.contract.verdicts import UsageError

#: More than one Python process sends on time on any machine we know.
MAX_RATE = 50_000.0

#: A schedule is one memory-mapped file of 17 bytes an event, worked out in memory.
MAX_EVENTS = 20_000_000

#: What a Locust process opens beside its clients' sockets.
SPARE_DESCRIPTORS = 64

#: How long one client may take to become ready, and deliveries may take after the window.
CONNECT_S = 10.0
DRAIN_S = 5.0

#: Without a latency claim, sends are late and the null server slow by this bound's measure:
#: the 5 ms of which a tenth are the 500 µs a well-kept schedule needs on two shared cores.
DEFAULT_BOUND_US = 5000.0


class Plan(msgspec.Struct, frozen=True):
    """One run of a scenario against a target, checked."""

    scenario: str
    target: Target
    clients: int
    rate: float
    pipelines: int
    warmup_s: float
    window_s: float
    repeats: int
    trace: Path
    allowed_hosts: tuple[str, ...]
    bounds_us: dict[str, float]
    drain_s: float = DRAIN_S

    @property
    def late_us(self) -> float:
        """A send is late if it lags by more than a tenth of the tightest latency bound."""
        return min(self.bounds_us.values()) / 10

    def parameters(self) -> dict[str, Scalar]:
        """Return what was asked for, for the record."""
        return {
            "clients": self.clients,
            "rate_events_per_s": self.rate,
            "pipelines": self.pipelines,
            "warmup_s": self.warmup_s,
            "window_s": self.window_s,
            "repeats": self.repeats,
            "trace": self.trace.name,
            "connect_deadline_s": CONNECT_S,
            "drain_deadline_s": self.drain_s,
            "late_after_us": self.late_us,
        }

    def allotments(self, peer: str) -> list[Allotment]:
        """Allot source addresses to every repeat, from a place of this run's own."""
        return allot(self.target, peer, self.clients, self.repeats, secrets.randbelow(1 << 16))

    def assignment(
        self,
        repeat: int,
        folder: Path,
        target: Target,
        allotment: Allotment,
        tokens: tuple[str | None, str | None],
    ) -> Assignment:
        """Write down one repeat for one Locust process; `tokens` to subscribe and to publish."""
        return Assignment(
            run=secrets.token_hex(4),
            repeat=repeat,
            scenario=self.scenario,
            profile=str(self.target.path),
            url=target.url,
            peer=peer_of(target, self.allowed_hosts),
            subscribe_token=tokens[0],
            publish_token=tokens[1],
            clients=self.clients,
            rate=self.rate,
            pipelines=self.pipelines,
            warmup_s=self.warmup_s,
            window_s=self.window_s,
            connect_s=CONNECT_S,
            drain_s=self.drain_s,
            late_us=self.late_us,
            trace=str(self.trace),
            first_address=allotment.first,
            clients_per_address=allotment.clients_per_address,
            folder=str(folder),
        )


def make_plan(
    scenario: type[Scenario],
    target: Target,
    *,
    clients: int | None = None,
    rate: float | None = None,
    warmup_s: float | None = None,
    window_s: float | None = None,
    repeats: int | None = None,
    trace: Path | None = None,
    allowed_hosts: tuple[str, ...] = (),
) -> Plan:
    """Return the scenario with what is given put in place of its defaults.

    Raises:
        UsageError: a number out of range, an unreadable trace or claims document, or a rate
            over the target's own publishing quota.
    """
    plan = Plan(
        scenario=scenario.__name__.lower(),
        target=target,
        clients=scenario.clients if clients is None else clients,
        rate=scenario.rate if rate is None else rate,
        pipelines=scenario.pipelines,
        warmup_s=scenario.warmup_s if warmup_s is None else warmup_s,
        window_s=scenario.window_s if window_s is None else window_s,
        repeats=scenario.repeats if repeats is None else repeats,
        trace=trace or scenario.trace,
        allowed_hosts=allowed_hosts,
        bounds_us=latency_bounds_us(target),
    )
    _check(plan)
    load_trace(plan.trace)
    return plan


def _check(plan: Plan) -> None:
    _at_least("--clients", plan.clients, 1)
    _check_descriptors(plan.clients)
    _at_least("--repeats", plan.repeats, 1)
    _at_least("--duration", plan.window_s, 0.5)
    _at_least("--warmup", plan.warmup_s, 0)
    _at_least("--rate", plan.rate, 0.1)
    if plan.rate > MAX_RATE:
        raise UsageError(
            f"--rate {plan.rate:g}: cannot be reached: one publisher sends at most"
            f" {MAX_RATE:g} events/s; pass a lower rate"
        )
    if plan.rate * (plan.warmup_s + plan.window_s) > MAX_EVENTS:
        raise UsageError(
            f"--rate {plan.rate:g} for --duration {plan.window_s:g}: more than {MAX_EVENTS:,}"
            " events; pass a shorter duration"
        )
    quota = plan.target.promises.publish_events_per_s
    if quota is not None and plan.rate > quota:
        raise UsageError(
            f"--rate {plan.rate:g}: over the target's own quota of {quota} events/s for one"
            f" publisher (`promises.publish_events_per_s` of {plan.target.path.name});"
            f" pass --rate {quota} or less"
        )
    if plan.target.url.startswith("wss:"):
        raise UsageError(
            f"target {plan.target.url}: load over TLS is not supported; name a ws:// address"
        )


def _check_descriptors(clients: int) -> None:
    """Each client is a descriptor of the Locust process, which inherits our limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = clients + SPARE_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and needed > soft:
        most = "unlimited" if hard == resource.RLIM_INFINITY else str(hard)
        raise UsageError(
            f"--clients {clients}: needs {needed} open files, {soft} are allowed; raise the limit"
            f" with `ulimit -n {needed}` (at most {most} here) or ask for fewer clients"
        )


def _at_least(option: str, value: float, least: float) -> None:
    if not value >= least:
        raise UsageError(f"{option} {value:g}: expected {least:g} or more")


def latency_bounds_us(target: Target) -> dict[str, float]:
    """Return the latency bounds among the target's claims in µs, the tightest of each metric."""
    claims = load_claims(target.claims_path) if target.claims_path else ()
    bounds: dict[str, float] = {}
    for claim in filter(_on_latency, claims):
        bounds[claim.metric] = min(claim.bound, bounds.get(claim.metric, claim.bound))
    return bounds or {"response_mean_us": DEFAULT_BOUND_US}


def _on_latency(claim: Claim) -> bool:
    latency = claim.metric.startswith(("response_", "service_"))
    return latency and claim.unit == "us" and claim.comparison in {"<", "<="}


def peer_of(target: Target, allowed_hosts: tuple[str, ...]) -> tuple[str, int]:
    """Return the address and port to connect to, judged by the guard."""
    return permit(target.url, allowed_hosts), urlsplit(target.url).port or 80
