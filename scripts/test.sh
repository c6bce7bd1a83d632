#!/bin/sh
# Set up the environment and run the tests. Accepts pytest's flags: sh scripts/test.sh -k golden --no-cov
set -eu
CDPATH='' cd -- "$(dirname -- "$0")/.."
sh scripts/environment.sh dev
.venv/bin/python -m pytest --cov "$@"
