#!/bin/sh
# Sets up the environment and runs the tests. Flags for pytest may follow: sh scripts/test.sh -k golden --no-cov
set -eu
CDPATH='' cd -- "$(dirname -- "$0")/.."
sh scripts/environment.sh dev
.venv/bin/python -m pytest --cov "$@"
