#!/bin/sh
# Makes .venv with the pinned packages, or brings it up to date when a pin or a dependency changed.
# usage: scripts/bootstrap.sh [PYTHON]
set -eu
cd "$(dirname "$0")/.."
python=${1:-python3}

if ! command -v "$python" >/dev/null 2>&1; then
    echo "bootstrap: $python is not installed. On Debian: apt-get install python3 python3-venv" >&2
    exit 2
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "bootstrap: $("$python" --version) is too old; 3.11 or later is needed. Name another with: make PYTHON=python3.12" >&2
    exit 2
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    echo "bootstrap: $python cannot make a virtual environment. On Debian: apt-get install python$version-venv" >&2
    exit 2
fi

# Of pyproject.toml only what an installation depends on: what stands above the tools' tables.
want=$({ cat constraints.txt scripts/bootstrap.sh; sed '/^\[tool\./,$d' pyproject.toml; } | cksum)
if [ -f .venv/wsproof-ready ] && [ "$(cat .venv/wsproof-ready)" = "$want" ]; then
    exit 0
fi
if [ ! -f .venv/wsproof-ready ]; then
    echo "bootstrap: setting up .venv (once; about a minute)" >&2
    rm -rf .venv
    "$python" -m venv .venv
fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
echo "$want" > .venv/wsproof-ready
