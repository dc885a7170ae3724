"""What `wsproof serve --check` looks at: whether the server would start. Changes nothing."""

from pathlib import Path

from monitor import journalfile, registry, server
from monitor.contract.verdicts import UsageError
from monitor.keys import load_keys
from monitor.settings import Settings
from monitor.sqlitefile import require_ours
from monitor.statefolder import StateFolder, check_state_folder


def check(settings: Settings) -> None:
    """See that the server could start with these settings, beside one that runs with them.

    The port may be taken, then, and of the databases only the headers are read.

    Raises:
        UsageError: event loop, certificate, address or state folder cannot be used.
    """
    server.loop_factory(settings)
    server.tls_context(settings)
    for listening in server.listen(settings.host, 0):
        listening.close()
    path = Path(settings.state)
    check_state_folder(path)
    _check_files(StateFolder(path))


def _check_files(state: StateFolder) -> None:
    if state.keys.exists():
        load_keys(state.keys)
    for path, what, room, oldest in (
        (state.tokens, "token table", registry, None),
        (state.journal, "journal", journalfile, journalfile.OLDEST_FORMAT),
    ):
        try:
            if path.exists():
                require_ours(path, what, room.APPLICATION_ID, room.FORMAT_VERSION, oldest=oldest)
        except OSError as error:
            raise UsageError(
                f"{what} {path}: cannot be read: {error.strerror}; check its permissions"
            ) from error
