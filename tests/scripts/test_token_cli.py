import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from monitor.keys import load_keys
from monitor.registry import Revocations
from monitor.tokens import Grant, Scope, TokenError, verify

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def token(
    state: Path, *arguments: str, stdin: str | None = None
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "scripts.wsproof", "token", *arguments],
        capture_output=True,
        text=True,
        check=False,
        input=stdin,
        cwd=ROOT,
        env={**os.environ, "WSPROOF_STATE": str(state)},
    )


def issue(state: Path, subject: str = "alice", scope: str = "subscribe,publish") -> str:
    done = token(state, "issue", "--subject", subject, "--scope", scope, "--ttl", "1h")
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.removesuffix("\n")


def granted(state: Path, text: str) -> Grant:
    return verify(load_keys(state / "keys.json"), text, time.time())


def refused(state: Path, grant: Grant) -> bool:
    watch = Revocations(state / "tokens.db")
    watch.poll()
    answer = watch.refuses(grant)
    watch.close()
    return answer


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_the_first_token_makes_keys_and_is_all_that_is_printed(state: Path) -> None:
    grant = granted(state, issue(state))
    assert (grant.subject, grant.scopes) == ("alice", {Scope.SUBSCRIBE, Scope.PUBLISH})
    assert 3_600 <= grant.expires_at - grant.issued_at <= 3_602
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in [state, *state.iterdir()]}
    assert modes == {"state": 0o700, "keys.json": 0o600, "tokens.db": 0o600}


@pytest.mark.parametrize("by", ["token", "id", "stdin"])
def test_a_revoked_token_is_refused_however_it_was_named(state: Path, by: str) -> None:
    text, other = issue(state), issue(state)
    grant = granted(state, text)
    name = {"token": text, "id": grant.token_id, "stdin": "-"}[by]
    done = token(state, "revoke", name, stdin=text + "\n")
    assert (done.returncode, done.stdout) == (0, "")
    assert grant.token_id in done.stderr
    assert text not in done.stderr
    assert refused(state, grant)
    assert not refused(state, granted(state, other))


def test_a_disabled_subject_is_refused_until_enabled(state: Path) -> None:
    grant = granted(state, issue(state))
    assert token(state, "disable", "alice").returncode == 0
    assert refused(state, grant)
    assert token(state, "enable", "alice").returncode == 0
    assert not refused(state, grant)
    done = token(state, "enable", "alice")
    assert (done.returncode, "not disabled" in done.stderr) == (2, True)


def test_the_list_names_every_living_token_and_no_secret(state: Path) -> None:
    text = issue(state)
    issue(state, "bob", "admin")
    token(state, "disable", "bob")
    listed = json.loads(token(state, "list", "--json").stdout)
    assert sorted((row["subject"], row["scope"], row["status"]) for row in listed) == [
        ("alice", "publish,subscribe", "valid"),
        ("bob", "admin", "disabled"),
    ]
    table = token(state, "list").stdout
    assert all(row["id"] in table for row in listed)
    assert text.rsplit(".", 1)[1] not in table


def test_rotation_keeps_living_tokens_and_drop_old_ends_them(state: Path) -> None:
    text = issue(state)
    assert token(state, "rotate").returncode == 0
    assert granted(state, text).subject == "alice"
    assert issue(state).split(".")[0] != text.split(".")[0]
    assert token(state, "rotate", "--drop-old").returncode == 0
    with pytest.raises(TokenError):
        granted(state, text)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["issue", "--subject", "a", "--scope", "publih"], "did you mean 'publish'?"),
        (["issue", "--subject", "a", "--scope", ""], "expected a list of"),
        (["issue", "--subject", "a", "--scope", "admin", "--ttl", "1x"], "such as 90s, 30m"),
        (["issue", "--subject", "a", "--scope", "admin", "--ttl", "0s"], "lifetime"),
        (["issue", "--subject", "a", "--scope", "admin", "--ttl", "999d"], "lifetime"),
        (["issue", "--subject", "a b", "--scope", "admin"], "subject 'a b'"),
        (["issue", "--subject", "a"], "--scope"),
        (["revoke", "nonsense"], "refused already"),
        (["disable", "x y z"], "subject 'x y z'"),
        (["revoke", "0" * 32], "token id"),
        (["enable", "alcie"], "did you mean 'alice'?"),
    ],
)
def test_wrong_usage_is_one_message_and_exit_2(
    state: Path, arguments: list[str], said: str
) -> None:
    issue(state)
    token(state, "disable", "alice")
    done = token(state, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [["list"], ["rotate"], ["revoke", "x"], ["disable", "a"]])
def test_a_mistyped_state_folder_is_named_and_not_made(state: Path, command: list[str]) -> None:
    done = token(state, *command)
    assert done.returncode == 2
    assert f"state folder {state}: no such folder" in done.stderr
    assert not state.exists()


def test_a_state_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = token(tmp_path / "file", "issue", "--subject", "a", "--scope", "admin")
    assert done.returncode == 2
    assert "a file stands there" in done.stderr
