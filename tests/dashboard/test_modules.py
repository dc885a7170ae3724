"""The page's pure modules, tested without a page: Node runs the *.test.js beside this file."""

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
DASHBOARD = HERE.parent.parent / "monitor" / "dashboard"

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("module", ["connection", "resumption", "store"])
def test_the_module_behaves_as_its_own_tests_say(tmp_path: Path, module: str) -> None:
    if shutil.which("node") is None:
        pytest.fail("node: not there; install it with: apt-get install -y nodejs npm")
    # Node takes .js files for modules only where a package.json says so; the page needs none.
    (tmp_path / "package.json").write_text('{"type": "module"}')
    for source in (*DASHBOARD.glob("*.js"), HERE / "world.js", HERE / f"{module}.test.js"):
        shutil.copy(source, tmp_path)
    command = ["node", "--test", "--test-reporter=tap", f"{module}.test.js"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "# pass 0" not in done.stdout
