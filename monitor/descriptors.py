"""File descriptors: as many as the connections to be served need, or fewer connections."""

import logging
import resource

log = logging.getLogger("monitor.descriptors")

#: Descriptors beside those of served connections: files, listening sockets, and connections that
#: are being told why they are refused.
RESERVED = 256


def make_room(connections: int) -> int:
    """Raise this process's soft limit so that `connections` can be served at a time.

    Return how many can: fewer, with a warning, if the hard limit allows no more.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + RESERVED
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if allowed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    files = max(allowed, soft)
    room = max(1, files - min(RESERVED, files // 2))
    if room < connections:
        log.warning(
            "%d connections at a time, not the %d of `max_connections`: the process may open %d"
            " files; raise its hard limit (`ulimit -Hn`, or LimitNOFILE of its service)",
            room,
            connections,
            files,
        )
    return room
