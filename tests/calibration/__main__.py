"""`python -m tests.calibration`: the whole suite, its table, and an exit code.

0 every finding holds; 1 one does not; 3 the run itself cannot be believed on this host.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from monitor.contract.verdicts import ExitCode
from tests.calibration.suite import FULL, SHORT, calibrate, table


def main() -> int:
    parser = argparse.ArgumentParser(prog="make calibrate", description=__doc__)
    parser.add_argument("--short", action="store_true", help="the form that tests use")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where evidence goes")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wsproof-calibration-") as folder:
        calibrated = calibrate(SHORT if options.short else FULL, Path(folder), options.runs)
    if options.json:
        findings = [{**asdict(one), "holds": one.holds} for one in calibrated.findings]
        print(json.dumps({**asdict(calibrated), "findings": findings}))
    else:
        table(calibrated, print)
        print(f"\nRun {calibrated.run}: {calibrated.verdict}")
    if calibrated.verdict == "INVALID":
        return ExitCode.NO_VERDICT
    return ExitCode.HOLDS if all(one.holds for one in calibrated.findings) else ExitCode.BROKEN


if __name__ == "__main__":
    sys.exit(main())
