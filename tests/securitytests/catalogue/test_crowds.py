"""Many connections at the same moment: how many they were is told, not meant."""

import json
import subprocess

import pytest

from tests.running import WSPROOF


@pytest.mark.slow
def test_the_figures_say_how_many_connected_at_once(tmp_path):
    """Of the 100 requests a minute, 20 and a few are for showing that the slots come back."""
    options = ["--only", "CN2", "--runs", str(tmp_path), "--json", "-"]
    done = subprocess.run([*WSPROOF, "audit", *options], capture_output=True, check=True)
    (found,) = json.loads(done.stdout)["findings"]
    assert found["figures"] == {"connected_at_once": 32}
    assert found["observations"][0]["expected"] == "of 32 at once at most 10 served"
