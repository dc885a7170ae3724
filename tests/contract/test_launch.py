"""Real small processes as targets: one that serves, and several that misbehave."""

import os
import socket
import sys
import textwrap
import time
import tracemalloc
from pathlib import Path

import msgspec
import psutil
import pytest

from monitor.contract import launch as launching
from monitor.contract.launch import Launch
from monitor.contract.target import Authentication, Observe, Publish, Start, Target, TokenSource
from monitor.contract.verdicts import NoVerdictError, RefusedError, UsageError

pytestmark = pytest.mark.slow

READY = 'print(\'{"url": "ws://127.0.0.1:5/"}\', flush=True)\n'
WAIT = "import signal; signal.pause()\n"


def target(program, **start):
    command = (sys.executable, "-c", textwrap.dedent(program))
    return Target(
        name="a small service",
        url="ws://127.0.0.1:1/",
        publish=Publish(message="{event}"),
        start=Start(command=command, **start),
        path=Path("small.toml"),
    )


def with_tokens(one, source):
    return msgspec.structs.replace(
        one,
        authentication=Authentication(methods=("header",)),
        tokens={"subscribe": source},
    )


def gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_target_is_ready_at_the_url_it_announces_and_stopped_on_the_way_out():
    with Launch(target(READY + WAIT)) as launch:
        assert launch.target.url == "ws://127.0.0.1:5/"
        assert launch.alive()
        pid = launch.pid
    assert gone(pid)
    assert launch.exit_status == -15
    assert not launch.alive()


def test_what_its_state_folder_held_is_gone_with_it():
    program = READY + "import sys; open(sys.argv[1] + '/kept', 'w').close()\n" + WAIT
    one = target(program)
    start = msgspec.structs.replace(one.start, command=(*one.start.command, "{state}"))
    with Launch(msgspec.structs.replace(one, start=start)) as launch:
        folder = launch.log.parent
        assert folder.is_dir()
    assert not folder.exists()


def test_a_target_that_ends_before_it_is_ready_is_told_with_its_status_and_last_words():
    program = "import sys; sys.exit('no such key file')"
    with pytest.raises(NoVerdictError, match=r"ended with status 1;.* It said: no such key file"):
        Launch(target(program)).__enter__()


def test_a_target_that_never_gets_ready_is_given_up_and_stopped(tmp_path):
    program = f"import os; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n" + WAIT
    with pytest.raises(NoVerdictError, match="a small service: did not become ready"):
        Launch(target(program, ready_timeout_s=5.0)).__enter__()
    assert gone(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("line", ["hello", "[]", '{"uri": "ws://x"}'])
def test_a_first_line_that_is_no_announcement_is_shown(line):
    with pytest.raises(NoVerdictError, match="its first line on stdout was b'"):
        Launch(target(f"print({line!r}, flush=True)\n" + WAIT)).__enter__()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://127.0.0.1:5/",
        "ws://127.0.0.1:99999/",
        "ws://127.0.0.1:0/",
        "ws://127.0.0.1:0x/",
        "ws://[::1/",
        "ws:///",
        "ws://127.0.0.1:5/\\u0000",
        "ws://127.0.0.1:5/\\u2192",
    ],
)
def test_an_announcement_of_no_address_is_shown(url):
    line = f'{{"url": "{url}"}}'
    with pytest.raises(NoVerdictError, match="did not become ready: its first line on stdout was"):
        Launch(target(f"print({line!r}, flush=True)\n" + WAIT)).__enter__()


def test_a_first_line_without_end_is_given_up_at_once_and_not_kept():
    endless = "import sys\nfor _ in range(2_000): sys.stdout.write('x' * 65_536)\n"
    tracemalloc.start()
    started = time.monotonic()
    try:
        with pytest.raises(NoVerdictError, match="its first line on stdout was b'x"):
            Launch(target(endless + WAIT, ready_timeout_s=20.0)).__enter__()
        assert time.monotonic() - started < 15.0
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_a_target_that_ignores_sigterm_is_killed():
    ignore = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    with Launch(target(ignore + READY + "while True: signal.pause()", stop_timeout_s=0.2)) as one:
        pid = one.pid
    assert gone(pid)
    assert one.exit_status == -9


def test_children_a_target_leaves_behind_are_killed_with_it(tmp_path):
    program = f"""
        import subprocess, sys
        child = subprocess.Popen([sys.executable, "-c", {WAIT!r}])
        open({str(tmp_path / "pid")!r}, "w").write(str(child.pid))
    """
    with Launch(target(textwrap.dedent(program) + READY + WAIT)):
        child = psutil.Process(int((tmp_path / "pid").read_text()))
    psutil.wait_procs([child], timeout=5)
    assert gone(child.pid)


def test_a_target_may_say_more_than_a_pipe_holds():
    """It calls back once it has said it all."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        call = f"import socket; socket.create_connection({listener.getsockname()!r}).close()\n"
        with Launch(target(READY + "print('x' * 1_000_000, flush=True)\n" + call + WAIT)):
            listener.accept()[0].close()


def listening_at(port, program):
    return msgspec.structs.replace(target(program, ready="connect"), url=f"ws://127.0.0.1:{port}/")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def test_a_target_without_an_announcement_is_ready_once_it_accepts():
    port = free_port()
    program = f"import socket; s = socket.create_server(('127.0.0.1', {port}))\n" + WAIT
    with Launch(listening_at(port, program)) as launch:
        socket.create_connection(("127.0.0.1", port)).close()
        assert launch.target.url == f"ws://127.0.0.1:{port}/"
        launch.kill()
        launch.restart()
        assert launch.alive()


def test_who_listens_already_is_not_taken_for_the_target_and_nothing_is_started(tmp_path):
    started = tmp_path / "started"
    program = f"open({str(started)!r}, 'w').close()\n" + WAIT
    with socket.create_server(("127.0.0.1", 0)) as other:
        one = listening_at(other.getsockname()[1], program)
        with pytest.raises(NoVerdictError, match="something else listens there; stop it"):
            Launch(one).__enter__()
    assert not started.exists()


def test_who_answers_in_place_of_a_target_that_ended_is_not_taken_for_it(monkeypatch):
    launch = Launch(target("", ready="connect"))
    vacant = iter([ConnectionRefusedError()])

    def refusal(_):
        if (refused := next(vacant, None)) is None:
            assert launch.ended(10)
        return refused

    monkeypatch.setattr(launching, "_refusal", refusal)
    with pytest.raises(NoVerdictError, match=r"is not the started process; it ended with status 0"):
        launch.__enter__()


def test_another_host_is_not_connected_to_to_see_whether_a_target_is_ready(tmp_path):
    started = tmp_path / "started"
    one = target(f"open({str(started)!r}, 'w').close()", ready="connect")
    foreign = msgspec.structs.replace(one, url="ws://192.0.2.1:9/")
    with pytest.raises(RefusedError, match=r"--i-am-allowed-to-test 192\.0\.2\.1"):
        Launch(foreign).__enter__()
    assert not started.exists()


def test_a_command_that_cannot_be_started_names_the_key():
    one = Target("x", "ws://127.0.0.1:1/", Publish("{event}"), start=Start(("/no/such/program",)))
    with pytest.raises(UsageError, match=r"`start.command`: /no/such/program cannot be started"):
        Launch(one).__enter__()


def test_a_target_that_runs_already_is_observed_and_left_alone(tmp_path):
    (tmp_path / "pid").write_text(str(os.getpid()))
    observed = Observe(pid_file=str(tmp_path / "pid"))
    with Launch(Target("x", "ws://127.0.0.1:1/", Publish("{event}"), observe=observed)) as launch:
        assert launch.pid == os.getpid()
        assert launch.alive()
    assert launch.exit_status is None


def test_a_pid_file_without_a_pid_names_the_key(tmp_path):
    observed = Observe(pid_file=str(tmp_path / "none"))
    with pytest.raises(UsageError, match=r"`observe.pid_file`: .*none holds no process id"):
        Launch(Target("x", "ws://127.0.0.1:1/", Publish("{event}"), observe=observed))


def test_a_token_comes_from_a_commands_output():
    source = TokenSource(command=("{python}", "-c", "print('a.b.c')"))
    with Launch(with_tokens(target(READY + WAIT), source)) as launch:
        assert launch.token("subscribe") == "a.b.c"
        with pytest.raises(UsageError, match=r"no `tokens.publish`; say where it comes from"):
            launch.token("publish")


def test_a_token_comes_from_the_environment_and_its_absence_is_named(monkeypatch):
    with Launch(with_tokens(target(READY + WAIT), TokenSource(environment="A_TOKEN"))) as launch:
        monkeypatch.delenv("A_TOKEN", raising=False)
        with pytest.raises(UsageError, match=r"`tokens.subscribe`: .* no A_TOKEN; set it"):
            launch.token("subscribe")
        monkeypatch.setenv("A_TOKEN", " a.b.c\n")
        assert launch.token("subscribe") == "a.b.c"


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("import sys; sys.exit('locked')", "ended with status 1: locked"),
        ("pass", "printed no token"),
    ],
)
def test_a_token_command_that_yields_none_is_named(program, says):
    source = TokenSource(command=("{python}", "-c", program))
    one = with_tokens(target(READY + WAIT), source)
    with Launch(one) as launch, pytest.raises(UsageError, match=says):
        launch.token("subscribe")


def test_a_command_that_does_not_end_is_killed_and_named(monkeypatch):
    monkeypatch.setattr(launching, "_COMMAND_S", 0.2)
    with Launch(target(READY + WAIT)) as launch:
        hanging = ("{python}", "-c", WAIT)
        with pytest.raises(UsageError, match=r"`commands.revoke`: the command did not end within"):
            launch.run(hanging, "key `commands.revoke`")


def test_a_service_without_authentication_needs_no_token():
    with Launch(target(READY + WAIT)) as launch:
        assert launch.token("subscribe") is None
