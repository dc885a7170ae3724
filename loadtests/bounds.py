"""What this harness itself can offer and must keep, with the reasons."""

#: More than one Python process sends on time on any machine we know.
MAX_RATE = 50_000.0

#: A schedule is one memory-mapped file of 17 bytes an event, worked out in memory.
MAX_EVENTS = 20_000_000

#: What a Locust process opens beside its clients' sockets.
SPARE_DESCRIPTORS = 64

#: Where no latency is to be judged, sends are late by this bound's measure: the 5 ms of which a
#: tenth are the 500 µs a well-kept schedule needs on two shared cores.
DEFAULT_BOUND_US = 5000.0

#: What is asked of the kernel for each receiver: a pause of the generator must not push back on the
#: target. It grants at most `net.core.rmem_max`, and says twice what it granted (socket(7)).
RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
