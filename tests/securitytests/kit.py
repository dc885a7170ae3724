"""A gate with checks made to order, on the reference monitor."""

import asyncio
from pathlib import Path

import msgspec

from monitor.contract.target import load_target
from monitor.contract.verdicts import Severity, Verdict
from securitytests.check import Check
from securitytests.gate.plan import Permissions, Plan
from securitytests.gate.run import Gate
from securitytests.judging import Judgement

REFERENCE = Path(__file__).parents[2] / "monitor" / "target.toml"

GOOD = Judgement(Verdict.PASS, "this", "this")
BAD = Judgement(Verdict.FAIL, "this", "that")


def made(name, probe, **more):
    """Return a baseline check that runs `probe`."""
    data = {"cost_s": 1.0, "tier": "destructive", **more}
    return Check(
        id=name,
        title=name,
        claim=None,
        severity=Severity.LOW,
        references=(),
        remediation="",
        probe=probe,
        why="why",
        **data,
    )


def audit(*checks, permissions=None, target=None, **promises):
    """Conduct the checks; return findings by id."""
    target = target or load_target(REFERENCE).shortened()
    promised = msgspec.structs.replace(target.promises, **promises)
    target = msgspec.structs.replace(target, promises=promised)
    plan = Plan(target, checks, (), False, None, permissions or Permissions())
    outcome = asyncio.run(Gate(plan, lambda *_: None).run())
    return {finding.id: finding for finding in outcome.findings}
