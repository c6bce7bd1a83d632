#!/bin/sh
# Makes the project's own environment, .venv, with the tested releases of what nstyle needs; quick if it is there already.
# usage: sh scripts/environment.sh [dev]     dev: with the test runner, the linter and the type checker, too
# PYTHON names the Python to use (default: python3).
set -eu
CDPATH='' cd -- "$(dirname -- "$0")/.."

python=${PYTHON:-python3}
wanted="$(cat pyproject.toml constraints.txt | cksum) in $(pwd)" # an environment does not survive being moved
for stamp in .venv/installed-dev ".venv/installed${1:+-$1}"; do
    if [ -x .venv/bin/nstyle ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
        exit
    fi
done
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "environment.sh: $python is missing or older than Python 3.11; name another: PYTHON=python3.12 sh $0" >&2
    exit 1
fi
if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then # missing, or broken off when it was made
    "$python" -m venv --clear .venv
fi
echo "installing into .venv, which takes a minute or two"
.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".${1:+[$1]}"
echo "$wanted" >".venv/installed${1:+-$1}"
