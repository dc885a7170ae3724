"""Each output is read back by a program that is not ours."""

import html.parser
import json
import shutil
import subprocess
import sys
import tarfile

import jsonschema
import junitparser
import msgspec
import pytest
from markdown_it import MarkdownIt

from monitor.contract.findings import Finding, Observation, TranscriptLine
from monitor.contract.verdicts import Severity, Verdict
from securitytests.check import discover
from securitytests.outputs import as_json, junit, markdown, page, sarif, table
from securitytests.outputs.report import AuditReport

#: Fetched from npm when the tests run; the project itself needs nothing of them.
SCHEMA = "@microsoft/jest-sarif@1.0.0-beta.0"
MULTITOOL = "@microsoft/sarif-multitool@5.7.0"
XMLLINT = "xmllint-wasm@5.3.0"

#: In the sources of pytest, which holds its own reports against it.
JUNIT_SCHEMA = "testing/example_scripts/junit-10.xsd"

#: usage: node -e VALIDATE SCHEMA DOCUMENT; says what is wrong, nothing if it is valid.
VALIDATE = """
const { readFileSync } = require("fs"), { validateXML } = require("xmllint-wasm");
const [schema, xml] = process.argv.slice(1).map((name) => readFileSync(name, "utf8"));
validateXML({ xml: [{ fileName: "junit.xml", contents: xml }], schema: [schema] })
  .then((found) => console.log(found.errors.map((one) => one.message).join("\\n")));
"""

HOSTILE = "<script>alert(1)</script> & \x1b[31m\x00 | `x` ]]>"


def finding(name, verdict, **changes):
    observed = Observation("query", Verdict.FAIL, "refused", f"HTTP 101 {HOSTILE}")
    return Finding(
        id=name,
        title="A foreign Origin is refused",
        verdict=verdict,
        severity=Severity.HIGH,
        claim="unauthorized-rejected",
        references=("CWE-1385",),
        remediation="Compare Origin.",
        reason=f"query: expected refused; got HTTP 101 {HOSTILE}",
        expected="refused",
        actual="HTTP 101",
        observations=(observed,),
        repeat=f"wsproof audit --only {name}",
        seconds=0.25,
        **changes,
    )


REPORT = AuditReport(
    findings=(
        finding("AU1", Verdict.PASS),
        finding("AU5", Verdict.INCONCLUSIVE),
        finding("HS1", Verdict.FAIL),
        finding("HS5", Verdict.NOT_APPLICABLE),
        finding("RL1", Verdict.WAIVED, waiver="ops, until 2030-01-01: old clients"),
        finding("SE2", Verdict.NOT_RUN),
    ),
    transcripts=(TranscriptLine("HS1", "query", 0.1, 1, "sent", f"GET / {HOSTILE}", 10),),
    target="a service",
    target_url="ws://127.0.0.1:1/",
    profile="target.toml",
    real_time=False,
    started_at="2025-01-01T12:00:00Z",
    seconds=12.5,
    exit_code=1,
    version="0.1.0",
)


TOLD = msgspec.structs.replace(
    REPORT,
    findings=(finding("AU1", Verdict.PASS), finding("SC1", Verdict.FAIL, gating=False)),
)


def test_what_is_only_reported_is_told_as_such_and_fails_no_job():
    (suite,) = junitparser.JUnitXml.fromstring(junit.render(TOLD))
    assert (suite.failures, suite.errors, suite.skipped) == (0, 0, 1)
    (run,) = json.loads(sarif.render(TOLD, discover()))["runs"]
    assert [one["level"] for one in run["results"]] == ["note"]
    rules = {rule["id"]: rule for rule in run["tool"]["driver"]["rules"]}
    assert rules["SC1"]["defaultConfiguration"]["level"] == "note"
    precision = {name: rule["properties"]["precision"] for name, rule in rules.items()}
    assert (precision["SC1"], precision["AU1"]) == ("medium", "very-high")
    assert TOLD.summary == "2 of 2 checks applicable: 1 PASS, 1 FAIL (1 reported only)"
    for written in (markdown.render(TOLD), page.render(TOLD), table.findings(TOLD).encode()):
        assert b"FAIL (reported only)" in written


def test_the_summary_counts_what_was_applicable():
    assert REPORT.summary == (
        "5 of 6 checks applicable: 1 PASS, 1 FAIL, 1 INCONCLUSIVE, 1 NOT_APPLICABLE, 1 WAIVED,"
        " 1 NOT_RUN"
    )


def test_each_claim_is_told_with_its_checks():
    counted = "1 PASS, 1 FAIL, 1 INCONCLUSIVE, 1 NOT_APPLICABLE, 1 WAIVED, 1 NOT_RUN"
    assert REPORT.by_claim == (("Unauthorized connections are rejected.", counted),)
    assert (
        f"| Unauthorized connections are rejected. | {counted} |"
        in markdown.render(REPORT).decode()
    )


def test_the_page_begins_with_what_needs_attention():
    written = page.render(REPORT).decode()
    shown = [written.index(f"<span>{name}</span>") for name in ("HS1", "AU5", "SE2", "RL1", "AU1")]
    assert shown == sorted(shown)


def test_json_holds_everything():
    document = json.loads(as_json.render(REPORT))
    assert document["counts"]["FAIL"] == 1
    assert document["findings"][2]["observations"][0]["actual"].endswith(HOSTILE)
    assert document["transcripts"][0]["check"] == "HS1"


def test_junit_is_read_by_another_reader_with_each_verdict_in_its_place():
    (suite,) = junitparser.JUnitXml.fromstring(junit.render(REPORT))
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (6, 1, 1, 3)
    outcomes = {case.name.split()[0]: [type(r).__name__ for r in case.result] for case in suite}
    assert outcomes == {
        "AU1": [],
        "AU5": ["Error"],
        "HS1": ["Failure"],
        "HS5": ["Skipped"],
        "RL1": ["Skipped"],
        "SE2": ["Skipped"],
    }
    (failure,) = next(case for case in suite if case.name.startswith("HS1")).result
    assert "Repeat: wsproof audit --only HS1" in failure.text


@pytest.mark.slow
def test_junit_is_valid_by_the_schema_of_those_who_read_it(npm, tmp_path):
    folder = npm("install", "--silent", "--no-package-lock", XMLLINT)
    source = [f"pytest=={pytest.__version__}", "--no-deps", "--no-binary", "pytest"]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", tmp_path, *source]
    subprocess.run(pip, capture_output=True, check=True)
    with tarfile.open(next(tmp_path.glob("pytest-*.tar.gz"))) as package:
        name = next(name for name in package.getnames() if name.endswith(JUNIT_SCHEMA))
        (tmp_path / "schema.xsd").write_bytes(package.extractfile(name).read())

    def faults(document):
        (tmp_path / "junit.xml").write_bytes(document)
        command = [shutil.which("node"), "-e", VALIDATE, "--"]
        files = [tmp_path / "schema.xsd", tmp_path / "junit.xml"]
        done = subprocess.run(
            [*command, *files], cwd=folder, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    assert faults(junit.render(REPORT)) == ""
    assert faults(junit.render(TOLD)) == ""
    assert "'told'" in faults(junit.render(REPORT).replace(b"skipped", b"told"))


@pytest.fixture(scope="module")
def npm(tmp_path_factory):
    if shutil.which("npm") is None:
        pytest.fail("npm: not there; install it with: apt-get install -y nodejs npm")
    folder = tmp_path_factory.mktemp("npm")

    def run(*command):
        done = subprocess.run(
            [shutil.which("npm"), *command],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return folder

    return run


@pytest.mark.slow
def test_sarif_is_valid_by_the_published_schema(npm):
    folder = npm("pack", "--silent", SCHEMA)
    with tarfile.open(next(folder.glob("*jest-sarif*.tgz"))) as package:
        name = next(name for name in package.getnames() if "schemas/sarif-2.1.0" in name)
        schema = json.load(package.extractfile(name))
    log = json.loads(sarif.render(REPORT, discover()))
    jsonschema.Draft7Validator(schema).validate(log)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(schema).validate({**log, "version": "2"})


@pytest.mark.slow
def test_sarif_is_valid_by_the_rules_of_its_makers(npm, tmp_path):
    folder = npm("install", "--silent", "--no-package-lock", MULTITOOL)
    (tmp_path / "audit.sarif").write_bytes(sarif.render(REPORT, discover()))
    multitool = folder / "node_modules/.bin/sarif-multitool"
    done = subprocess.run(
        [multitool, "validate", "audit.sarif", "--output", "faults.sarif"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    (run,) = json.loads((tmp_path / "faults.sarif").read_text(encoding="utf-8-sig"))["runs"]
    assert run["results"] == []


def test_sarif_knows_a_finding_again_and_says_what_code_scanning_reads():
    (run,) = json.loads(sarif.render(REPORT, discover()))["runs"]
    results = {result["ruleId"]: result for result in run["results"]}
    assert {name: result["kind"] for name, result in results.items()} == {
        "AU5": "review",
        "HS1": "fail",
        "RL1": "fail",
    }
    assert results["RL1"]["suppressions"][0]["status"] == "accepted"
    again = json.loads(sarif.render(REPORT, discover()))["runs"][0]["results"]
    assert [r["partialFingerprints"] for r in again] == [
        r["partialFingerprints"] for r in run["results"]
    ]
    rule = run["tool"]["driver"]["rules"][results["HS1"]["ruleIndex"]]
    assert rule["id"] == "HS1"
    assert float(rule["properties"]["security-severity"]) == 8.0
    assert "external/cwe/cwe-1385" in rule["properties"]["tags"]


def test_a_green_audit_gives_code_scanning_nothing_to_show():
    green = msgspec.structs.replace(
        REPORT,
        findings=(finding("AU1", Verdict.PASS), finding("HS5", Verdict.NOT_APPLICABLE)),
    )
    (run,) = json.loads(sarif.render(green, discover()))["runs"]
    assert run["results"] == []
    assert run["properties"] == {"verdicts": {"PASS": 1, "NOT_APPLICABLE": 1}}


def test_sarif_counts_every_verdict_and_notes_what_did_not_run():
    (run,) = json.loads(sarif.render(REPORT, discover()))["runs"]
    counted = {str(verdict): count for verdict, count in REPORT.counts.items()}
    assert run["properties"]["verdicts"] == counted
    (invocation,) = run["invocations"]
    (noted,) = invocation["toolExecutionNotifications"]
    rules = run["tool"]["driver"]["rules"]
    assert rules[noted["associatedRule"]["index"]]["id"] == noted["associatedRule"]["id"] == "SE2"
    assert "not run" in noted["message"]["text"]


class Tags(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen, self.links = set(), []

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        self.links += [value for name, value in attrs if name in {"src", "href"}]


def test_the_page_stands_alone_and_hostile_text_is_inert():
    tags = Tags()
    tags.feed(page.render(REPORT).decode())
    assert "script" not in tags.seen
    assert tags.links == []


def unserved(*names):
    findings = [
        msgspec.structs.replace(
            finding(name, Verdict.INCONCLUSIVE), reason="no answer at 127.0.0.1"
        )
        for name in names
    ]
    return msgspec.structs.replace(REPORT, findings=tuple(findings), transcripts=())


@pytest.mark.parametrize("output", [page, markdown], ids=["HTML", "Markdown"])
def test_control_characters_are_shown_and_not_passed_on(output):
    evil = "a\x00b\x07c\x1b[31m\x9bd\u202e"
    bad = msgspec.structs.replace(finding("HS1", Verdict.FAIL), reason=f"got {evil}\nmore")
    line = TranscriptLine("HS1", "query", 0.1, 1, "sent", evil, 10)
    report = msgspec.structs.replace(REPORT, findings=(bad,), transcripts=(line,), target=evil)
    written = output.render(report).decode()
    assert [char for char in written if not char.isprintable() and char != "\n"] == []
    assert written.count(r"a\x00b\x07c\x1b[31m\x9bd\u202e") == 4 - (output is markdown)


def test_what_kept_many_checks_from_a_verdict_is_told_once():
    report = unserved("AU1", "HS1", "SE2")
    told, text = table.findings(report), markdown.render(report).decode()
    assert "3 checks INCONCLUSIVE: no answer at 127.0.0.1\n  AU1, HS1, SE2\n" in told
    assert "### INCONCLUSIVE: 3 checks\n\nno answer at 127.0.0.1\n\nAU1, HS1, SE2\n" in text
    for written in (told, text):
        assert written.count("no answer at") == 1
        assert written.count("wsproof audit --only AU1") == 1


def test_where_nothing_was_found_there_is_nothing_to_mend():
    for written in (table.findings(unserved("AU1")), markdown.render(unserved("AU1")).decode()):
        assert "Compare Origin." not in written
        assert "wsproof audit --only AU1" in written


def test_markdown_and_table_show_first_what_needs_attention():
    text = markdown.render(REPORT).decode()
    assert "<script>" not in MarkdownIt("commonmark").render(text)
    assert text.index("### FAIL HS1") < text.index("| AU1 | PASS")
    told = table.findings(REPORT)
    assert "HS1 FAIL: query: expected refused" in told
    assert "repeat: wsproof audit --only HS1" in told
    assert "RL1 WAIVED" in told
