"""Starts the Node service; installs `ws` into the user's cache the first time.

usage: python -m tests.services.node --state FOLDER [--option VALUE …]
       python -m tests.services.node --state FOLDER issue SUBJECT SCOPE LIFETIME_S
       python -m tests.services.node --state FOLDER revoke TOKEN | disable SUBJECT
"""

import fcntl
import os
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    """Become node."""
    modules = packages()
    os.environ["NODE_PATH"] = str(modules)
    os.execvp("node", ["node", str(HERE / "service.cjs"), *sys.argv[1:]])  # noqa: S606, S607


def packages() -> Path:
    """Return the folder of the packages package.json names, installed if they are not there."""
    if shutil.which("npm") is None:
        sys.exit("npm: not there; install it with: apt-get install -y nodejs npm")
    wanted = (HERE / "package.json").read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = cache / "wsproof" / f"node-{zlib.crc32(wanted):08x}"
    folder.mkdir(parents=True, exist_ok=True)
    complete = folder / "complete"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            (folder / "package.json").write_bytes(wanted)
            command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--silent"]
            done = subprocess.run(command, cwd=folder, check=False)
            if done.returncode:
                sys.exit(f"npm install in {folder}: ended with status {done.returncode}")
            complete.touch()
    return folder / "node_modules"


if __name__ == "__main__":
    main()
