#!/bin/sh
# Makes .venv from the locks: a Python of 3.11 or later, the pinned uv, every locked package by hash, our own
# packages editable. Safe to run again; needs nothing but Python and its way to a package index.
set -eu
cd "$(dirname "$0")/.."

usable() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (4, 0))' >/dev/null 2>&1
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        usable "$PYTHON" && echo "$PYTHON" && return
        echo "setup: PYTHON=$PYTHON is no Python 3.11 or later" >&2
        exit 1
    fi
    for candidate in python3.11 python3.12 python3.13 python3 python; do
        if usable "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    echo "setup: Python 3.11 or later was not found on PATH; install it, or name it: make setup PYTHON=/path" >&2
    exit 1
}

# Debian splits venv and ensurepip off into python3-venv; an existing pip or uv can stand in for them.
make_environment() {
    python=$(find_python)
    echo "setup: $("$python" --version) makes .venv"
    if "$python" -m venv .venv >/dev/null 2>&1; then
        return
    fi
    rm -rf .venv
    if "$python" -m venv --without-pip .venv >/dev/null 2>&1 \
        && "$python" -m pip --python .venv/bin/python install -q --require-hashes -r tools/bootstrap.lock; then
        return
    fi
    rm -rf .venv
    if command -v uv >/dev/null 2>&1 && uv venv -q --seed --python "$python" .venv; then
        return
    fi
    echo "setup: this Python has no venv module with ensurepip, and neither pip nor uv is there to replace it." >&2
    echo "setup: on Debian and Ubuntu: apt-get install python3-venv; elsewhere install pip or uv." >&2
    exit 1
}

usable .venv/bin/python || { rm -rf .venv && make_environment; }

if ! .venv/bin/uv --version >/dev/null 2>&1; then
    .venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r tools/bootstrap.lock
fi

echo "setup: installing the locked packages"
if ! .venv/bin/uv pip install -q --python .venv/bin/python --compile-bytecode --require-hashes -r requirements.lock; then
    # uv does not read pip's configuration, so an index that only pip knows of is out of its reach.
    echo "setup: uv did not succeed, pip tries the same lock with its own configuration" >&2
    .venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
fi

set --
for member in libs/* proto/python services/* cli; do
    [ -f "$member/pyproject.toml" ] && set -- "$@" -e "$member"
done
.venv/bin/uv pip install -q --python .venv/bin/python --offline --no-deps --no-build-isolation "$@"
echo "setup: .venv is ready"
