#!/bin/sh
# Create the virtual environment .venv with the tested versions of nstyle's dependencies; quick if it is up to date.
# usage: sh scripts/environment.sh [dev]     dev: also install the test runner, linter and type checker
# PYTHON is the Python to use (default: that of the existing environment, or else python3).
# ENVIRONMENT is the folder to use instead of .venv, for a second Python.
set -eu
CDPATH='' cd -- "$(dirname -- "$0")/.."

environment=${ENVIRONMENT:-.venv}
version() { "$1" -c 'import sys; print(sys.version)' 2>/dev/null || true; }
have=$(version "$environment/bin/python")
want=$([ "${PYTHON-}" ] && version "$PYTHON" || echo "$have")
recipe="$(cat pyproject.toml constraints.txt | cksum) in $(pwd)" # a moved environment does not work
for stamp in "$environment/installed-dev" "$environment/installed${1:+-$1}"; do
    if [ "$have" ] && [ "$have" = "$want" ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$recipe" ]; then
        exit
    fi
done
python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "environment.sh: $python is missing or older than Python 3.11; choose another: PYTHON=python3.12 sh $0" >&2
    exit 1
fi
if [ "$have" != "$want" ] || ! "$environment/bin/python" -m pip --version >/dev/null 2>&1; then # a different Python, none, or half installed
    "$python" -m venv --clear "$environment"
fi
echo "installing into $environment; this takes a minute or two"
"$environment/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".${1:+[$1]}"
echo "$recipe" >"$environment/installed${1:+-$1}"
