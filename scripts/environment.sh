#!/bin/sh
# Makes the project's own environment, .venv, with the tested releases of what nstyle needs; quick if it is there already.
# usage: sh scripts/environment.sh [dev]     dev: with the test runner, the linter and the type checker, too
# PYTHON names the Python to use (default: that of the environment that is there, or else python3);
# ENVIRONMENT names another folder than .venv, for a second Python.
set -eu
CDPATH='' cd -- "$(dirname -- "$0")/.."

environment=${ENVIRONMENT:-.venv}
version() { "$1" -c 'import sys; print(sys.version)' 2>/dev/null || true; }
have=$(version "$environment/bin/python")
want=$([ "${PYTHON-}" ] && version "$PYTHON" || echo "$have")
recipe="$(cat pyproject.toml constraints.txt | cksum) in $(pwd)" # an environment does not survive being moved
for stamp in "$environment/installed-dev" "$environment/installed${1:+-$1}"; do
    if [ "$have" ] && [ "$have" = "$want" ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$recipe" ]; then
        exit
    fi
done
python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "environment.sh: $python is missing or older than Python 3.11; name another: PYTHON=python3.12 sh $0" >&2
    exit 1
fi
if [ "$have" != "$want" ] || ! "$environment/bin/python" -m pip --version >/dev/null 2>&1; then # another, missing, or broken off
    "$python" -m venv --clear "$environment"
fi
echo "installing into $environment, which takes a minute or two"
"$environment/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".${1:+[$1]}"
echo "$recipe" >"$environment/installed${1:+-$1}"
