"""Wires the conductor into Locust's events, for `wsproof load` and for Locust by itself.

With an assignment (from `wsproof load`) a Locust process conducts that one repeat, writes its
result and ends. Without one, it is `standalone`: it launches the target itself, conducts until
Locust stops, and writes a run folder when Locust quits.
"""

import os
import signal
import sys
import time
import traceback
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import msgspec
from gevent import Greenlet

from loadtests.assignment import load_assignment
from loadtests.bench import WEB_HOST
from loadtests.conductor import Conductor, Standing
from loadtests.processes.master import Mail, Master
from loadtests.processes.worker import Worker
from loadtests.results import Progress, RepeatResult, Restart
from loadtests.standalone import Standalone
from loadtests.tally import Tally
from loadtests.users import WebSocketUser
from loadtests.webpage import add_tab
from monitor.contract.verdicts import ExitCode, WsproofError

#: Users connect as fast as this, a second, unless Locust is told another rate.
_SPAWN_RATE = 100

#: Beyond the drain's own deadline, before a repeat that does not end is left behind.
_GRACE_S = 15.0

#: Locust's own timer may be early by as much: it rounds, and counts from before our start.
_TIMER_S = 1.0


def add_arguments(parser: ArgumentParser, **_: Any) -> None:
    """Add our options to Locust's."""
    # Printing Locust's table every two seconds would stop the receivers for up to 70 ms.
    # Its page can start and stop a load: for this machine only, unless --web-host says otherwise.
    parser.set_defaults(spawn_rate=_SPAWN_RATE, only_summary=True, web_host=WEB_HOST)
    options: dict[str, dict[str, Any]] = {
        "--scenario": {"default": "chapter", "help": "scenario under loadtests/scenarios"},
        "--target": {"default": "", "help": "target profile (TOML); the reference monitor if none"},
        "--rate": {"type": float, "default": None, "help": "events a second"},
        "--warmup": {"type": float, "default": None, "help": "seconds not measured"},
        "--trace": {"default": "", "help": "recorded events to replay"},
        "--runs": {"default": "runs", "help": "where the run folder goes"},
        "--i-am-allowed-to-test": {"action": "append", "default": [], "metavar": "HOST"},
        "--assignment": {"default": "", "help": "written by `wsproof load`"},
        "--progress-fd": {"type": int, "default": -1, "help": "written to for `wsproof load`"},
    }
    for name, how in options.items():
        parser.add_argument(name, include_in_web_ui=False, **how)


def install(user: type[WebSocketUser]) -> Callable[..., None]:
    """Return the listener for Locust's `init` event that wires everything else."""

    def on_init(environment: Any, **_: Any) -> None:
        options = environment.parsed_options
        # Locust counts --run-time by the loop's clock, which stood still while it was imported.
        gevent.get_hub().loop.update_now()
        if options.worker:
            Worker(environment, user).attach()
        else:
            Entrance(environment, user).attach()

    return on_init


def _interrupt_in_order() -> None:
    """Let Ctrl-C do what SIGTERM does, once.

    As a KeyboardInterrupt it strikes whichever greenlet runs; where that is one of ours, what was
    measured goes with it. Locust takes SIGTERM in its loop, and ends everything in order.
    """

    def terminate() -> None:
        watcher.cancel()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.kill(os.getpid(), signal.SIGTERM)

    watcher = gevent.signal_handler(signal.SIGINT, terminate)


class Entrance:
    """One Locust environment and what is conducted in it."""

    def __init__(self, environment: Any, user: type[WebSocketUser]) -> None:
        self._environment = environment
        self._user = user
        self._options = environment.parsed_options
        self._assigned = bool(self._options.assignment)
        self._standalone = None if self._assigned else Standalone(self._options)
        self._mail = Mail(environment) if self._options.master else None
        self._conductor: Conductor | Master | None = None
        self._greenlet: Greenlet[[Conductor | Master], None] | None = None
        self._started_at_s = 0.0

    def attach(self) -> None:
        """Listen to Locust's events."""
        events = self._environment.events
        events.test_start.add_listener(self._on_start)
        events.spawning_complete.add_listener(self._on_spawned)
        events.test_stopping.add_listener(self._on_stopping)
        events.quitting.add_listener(self._on_quitting)
        if self._environment.web_ui is not None:
            add_tab(self._environment.web_ui, self._standing)

    def _standing(self) -> Standing | None:
        """How the repeat of this process stands; a master has only what its workers send."""
        conductor = self._conductor
        return conductor.standing() if isinstance(conductor, Conductor) else None

    def _on_start(self, **_: Any) -> None:
        if self._conductor is None:
            _interrupt_in_order()
        self._started_at_s = time.monotonic()
        try:
            if self._standalone is None:
                assignment = load_assignment(Path(self._options.assignment))
            else:
                assignment = self._standalone.assign(self._workers)
        except WsproofError as error:
            if self._standalone is not None:
                self._standalone.close()
            sys.stderr.write(f"wsproof: {error}\n")
            sys.stderr.flush()
            if self._mail is not None:
                self._mail.dismiss()
            os._exit(error.exit_code)  # Locust would go on without a target
        if self._mail is not None:
            self._conductor = Master(self._mail, assignment, self._tell)
        else:
            tally = Tally(self._environment.stats)
            conductor = Conductor(assignment, self._tell, tally.update)
            self._conductor = self._user.conductor = conductor
        self._greenlet = gevent.spawn(self._conduct, self._conductor)

    @property
    def _workers(self) -> int:
        """How many processes have clients."""
        return 1 if self._mail is None else max(1, self._environment.runner.worker_count)

    def _on_spawned(self, user_count: int, **_: Any) -> None:
        if self._conductor is not None and not self._assigned:
            self._conductor.expect(user_count)

    def _on_stopping(self, **_: Any) -> None:
        if self._conductor is None or self._greenlet is None:
            return
        self._conductor.cut(interrupted=self._assigned or self._early())
        if self._greenlet is not gevent.getcurrent():
            self._greenlet.join(self._conductor.assignment.drain_s + _GRACE_S)

    def _early(self) -> bool:
        """Tell whether somebody ended a run before the run time that was asked for."""
        run_time_s = float(self._options.run_time or 0)
        return time.monotonic() - self._started_at_s < run_time_s - _TIMER_S

    def _on_quitting(self, **_: Any) -> None:
        self._on_stopping()
        if self._standalone is None:
            return
        code = self._standalone.conclude()
        if self._environment.process_exit_code is None:  # a defect of ours outweighs the verdict
            self._environment.process_exit_code = code

    def _conduct(self, conductor: Conductor | Master) -> None:
        try:
            result = conductor.run()
            if self._standalone is not None:
                self._standalone.results.append(result)
            else:
                _save(result, conductor.assignment.part)
        except Exception:  # noqa: BLE001 - a defect of ours: shown whole, and the repeat has no result
            traceback.print_exc()
            self._environment.process_exit_code = int(ExitCode.INTERNAL)
        if self._assigned:
            self._environment.runner.quit()
            if self._environment.web_ui is not None:
                self._environment.web_ui.stop()

    def _tell(self, progress: Progress | Restart) -> None:
        if self._options.progress_fd < 0:
            return
        try:
            os.write(self._options.progress_fd, msgspec.json.encode(progress) + b"\n")
        except BrokenPipeError:
            # Whoever started us is gone: nobody waits for the rest.
            if self._conductor is not None:
                self._conductor.cut(interrupted=True)


def _save(result: RepeatResult, path: Path) -> None:
    partial = path.with_suffix(".partial")
    partial.write_bytes(msgspec.json.encode(result))
    partial.rename(path)
