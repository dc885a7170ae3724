"""One synthetic run of each kind, written once a session and read by every test; the command line.

Most of what a command costs is starting a process, so tests call it in theirs. That it works as a
process of its own, and says the same in any, is for a few tests to show.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from monitor.contract.claims import Claim, load_claims
from monitor.contract.evidence import Run, load_run
from reports.build import Report, build
from reports.dossier import Dossier, open_dossier
from reports.standing import judge_all
from scripts.wsproof import run
from tests.reports import synthetic

CLAIMS = Path(__file__).parents[2] / "monitor" / "claims.toml"


@pytest.fixture(scope="session")
def claims() -> tuple[Claim, ...]:
    return load_claims(CLAIMS)


@pytest.fixture(scope="session")
def run_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[synthetic.Synthetic], Run]:
    written: dict[synthetic.Synthetic, Run] = {}

    def write(shape: synthetic.Synthetic) -> Run:
        if shape not in written:
            folder = synthetic.write_run(tmp_path_factory.mktemp("runs"), shape)
            written[shape] = load_run(folder)
        return written[shape]

    return write


@pytest.fixture(scope="session")
def dossier_of(
    run_of: Callable[[synthetic.Synthetic], Run], claims: tuple[Claim, ...]
) -> Callable[[synthetic.Synthetic], Dossier]:
    return lambda shape: open_dossier(run_of(shape), judge_all(claims, run_of(shape)))


@pytest.fixture(scope="session")
def quick_report(
    run_of: Callable[[synthetic.Synthetic], Run],
    claims: tuple[Claim, ...],
    tmp_path_factory: pytest.TempPathFactory,
) -> Report:
    """The report of a quick run, drawn once; nobody writes to it."""
    out = tmp_path_factory.mktemp("report") / "out"
    return build(run_of(synthetic.QUICK).path, claims, out)


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended and what it said."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def wsproof(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Run `wsproof` with these arguments in this process."""

    def call(*arguments: object) -> Done:
        capsys.readouterr()
        code = int(run([str(argument) for argument in arguments]))
        said = capsys.readouterr()
        return Done(code, said.out, said.err)

    return call
