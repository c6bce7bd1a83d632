#!/bin/sh
# Check nstyle on this machine's GPU: run the tests that need one, then print a Markdown table of times and memory.
# Takes about six minutes on an H200.
# usage: sh scripts/gpu_check.sh [tests | measure] [flags of pytest, or of python -m scripts.gpu_check]
# PYTHON is a Python with nstyle's dependencies and pytest; without it, scripts/environment.sh sets one up.
set -eu
CDPATH='' cd -- "$(dirname -- "$0")/.."
parts='tests measure'
case ${1-} in tests | measure) parts=$1 && shift ;; esac
if ! "${PYTHON:-false}" -c 'import nstyle.painting.stylize, pytest' 2>/dev/null; then
    sh scripts/environment.sh dev
    PYTHON=.venv/bin/python
fi
status=0
for part in $parts; do
    case $part in
    tests) "$PYTHON" -m pytest -m gpu tests/test_gpu.py "$@" || status=$? ;;
    measure) "$PYTHON" -m scripts.gpu_check "$@" || status=$? ;;
    esac
done
exit "$status"
