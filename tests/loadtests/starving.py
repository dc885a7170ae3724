"""Keeps one process of a repeat from its core: stopped for 40 ms of every 60 while measuring."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

import psutil

from loadtests.results import Progress
from monitor.contract.launch import Launch

Starve = Callable[[Launch, Progress, psutil.Process], None]


@contextlib.contextmanager
def starving(which: Callable[[psutil.Process], psutil.Process]) -> Iterator[Starve]:
    """Yield what a drive calls with each progress; `which` picks the process, given Locust's."""
    over = threading.Event()
    pulses: list[threading.Thread] = []

    def pulse(process: psutil.Process) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):  # it ends before we are told
            while not over.wait(0.02):
                process.send_signal(signal.SIGSTOP)
                over.wait(0.04)
                process.send_signal(signal.SIGCONT)

    def starve(_launch: Launch, progress: Progress, locust: psutil.Process) -> None:
        if progress.phase == "measuring" and not pulses:
            pulses.append(threading.Thread(target=pulse, args=(which(locust),)))
            pulses[0].start()
        elif progress.phase == "draining":
            over.set()
            pulses[0].join()

    try:
        yield starve
    finally:
        over.set()
