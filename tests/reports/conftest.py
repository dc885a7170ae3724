"""One synthetic run of each kind, written once a session and read by every test."""

from collections.abc import Callable
from pathlib import Path

import pytest

from monitor.contract.claims import Claim, load_claims
from monitor.contract.evidence import Run, load_run
from reports.dossier import Dossier, open_dossier
from reports.standing import judge_all
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
