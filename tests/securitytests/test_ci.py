"""The workflows and the page on CI: YAML that parses, commands that exist, a profile that works."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.running import WSPROOF

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
STARTER = (ROOT / "docs" / "starter.toml").read_text(encoding="utf-8")

#: The example is a job: a workflow's `jobs` stands above it.
EXAMPLE = yaml.safe_load(re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[1])

#: The monitor takes tokens from URLs, too, which the starter profile does not.
WAIVER = """
[[waivers]]
check = "AU11"
owner = "this test"
reason = "it is about the other checks"
expires = 9999-12-31
"""


def jobs_of(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]


def steps():
    """Every step of every workflow, and of the example."""
    jobs = [job for path in WORKFLOWS for job in jobs_of(path).values()]
    return [step for job in (*jobs, *EXAMPLE.values()) for step in job["steps"]]


def commands():
    """Every command of every step, as words."""
    lines = [line for step in steps() for line in step.get("run", "").splitlines()]
    lines += re.findall(r"^\| `((?:make|wsproof) .*?)` \|", PAGE, re.MULTILINE)
    return [shlex.split(command) for line in lines for command in line.split(" && ")]


def test_there_is_a_workflow_for_the_tests_and_one_for_the_gate():
    assert [path.stem for path in WORKFLOWS] == ["security", "tests"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_has_the_least_permissions(path):
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    assert "pull_request" in workflow[True]  # YAML 1.1 reads `on` as a boolean
    assert "pull_request_target" not in workflow[True]
    for job in workflow["jobs"].values():
        granted = job.get("permissions", {"contents": "read"})
        allowed = {"contents": "read", "security-events": "write"}
        assert granted.items() <= allowed.items()
        assert job["timeout-minutes"] <= 30


def test_actions_are_pinned_and_checkouts_keep_no_credentials():
    for step in steps():
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w/-]+@v[0-9]+(\.[0-9]+)*", step["uses"]), step
    checkouts = [one for one in steps() if "actions/checkout" in one.get("uses", "")]
    kept = [one.get("with", {}).get("persist-credentials", True) for one in checkouts]
    assert kept == [False] * len(kept) != []


def test_the_example_has_the_least_permissions_and_secrets_in_one_step():
    (job,) = EXAMPLE.values()
    allowed = {"contents": "read", "security-events": "write"}
    assert job["permissions"].items() <= allowed.items()
    assert job["timeout-minutes"] <= 30
    with_secrets = [one for one in job["steps"] if "secrets." in str(one)]
    assert ["wsproof audit" in one.get("run", "") for one in with_secrets] == [True]
    assert "secrets." not in str({key: job[key] for key in job if key != "steps"})


def test_what_was_not_written_is_not_uploaded():
    uploads = [one for one in steps() if "upload-sarif" in one.get("uses", "")]
    assert len(uploads) == 2
    for step in uploads:
        assert f"hashFiles('{step['with']['sarif_file']}') != ''" in step["if"]


def test_no_text_of_an_event_is_put_into_a_shell():
    assert not [step for step in steps() if "${{" in step.get("run", "")]


def test_what_the_gate_writes_is_what_is_uploaded():
    (gate,) = jobs_of(WORKFLOWS[0]).values()
    audit = next(step["run"] for step in gate["steps"] if "wsproof audit" in step.get("run", ""))
    uploads = [step["with"] for step in gate["steps"] if "upload" in step.get("uses", "")]
    assert uploads[0]["sarif_file"] in audit
    assert "gate/junit.xml" in audit
    assert "gate/" in uploads[1]["path"].split()


def test_every_command_of_the_workflows_and_of_the_page_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    helped = subprocess.run(
        [*WSPROOF, "audit", "--help"],
        env={**os.environ, "COLUMNS": "200", "TERM": "dumb"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    checked = 0
    for command in commands():
        match Path(command[0]).name:
            case "make":
                assert command[1] in targets, command
            case "wsproof":
                assert command[1] == "audit", command
                for word in command:
                    assert not word.startswith("--") or word in helped, command
            case "run":
                assert os.access(ROOT / ".ci" / "run", os.X_OK)
            case name:
                assert name in {"apt-get", "mkdir", "cat", "pipx"}, command
                continue
        checked += 1
    assert checked >= 6


def test_the_job_for_somebody_elses_service_has_ten_lines():
    example = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[1]
    assert len(example.splitlines()) == 10


@pytest.mark.slow
@pytest.mark.alone
def test_the_starter_profile_fits_a_service_that_is_as_it_says(tmp_path, start_monitor):
    shorter = {
        "window_s": 4,
        "handshake_deadline_s": 1.5,
        "authentication_deadline_s": 1.5,
        "idle_timeout_s": 3,
        "ping_interval_s": 1,
        "ping_answer_deadline_s": 1,
        "close_deadline_s": 1,
    }
    service = start_monitor(
        window_s=4,
        handshake_timeout_s=1.5,
        authentication_timeout_s=1.5,
        idle_timeout_s=3,
        ping_interval_s=1,
        ping_timeout_s=1,
        close_timeout_s=1,
    )
    profile = STARTER.replace("ws://127.0.0.1:8080/", service.url)
    for name, seconds in shorter.items():
        profile, count = re.subn(
            rf"^{name} = .*", f"{name} = {seconds}", profile, flags=re.MULTILINE
        )
        assert count == 1, name
    (tmp_path / "wsproof.toml").write_text(profile + WAIVER, encoding="utf-8")
    tokens = {
        "SUBSCRIBE_TOKEN": service.token("subscribe"),
        "PUBLISH_TOKEN": service.token("publish", subject="writer"),
    }
    outputs = ("--json", "audit.json", "--markdown", "summary.md")
    done = subprocess.run(
        [*WSPROOF, "audit", "--target", "wsproof.toml", *outputs],
        cwd=tmp_path,
        env={**os.environ, **tokens, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counts = json.loads((tmp_path / "audit.json").read_bytes())["counts"]
    # A timing that is reported only may be too noisy to tell on a busy machine.
    assert counts.keys() - {"INCONCLUSIVE"} == {"PASS", "NOT_APPLICABLE", "WAIVED"}
    assert counts.get("INCONCLUSIVE", 0) <= 1
    assert counts["PASS"] > 30
    assert "## Security audit of my service" in (tmp_path / "summary.md").read_text()
