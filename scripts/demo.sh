#!/bin/sh
# Set up the environment and paint the sample pair into output/. Accepts more flags: sh scripts/demo.sh --seed 1
set -eu
CDPATH='' cd -- "$(dirname -- "$0")/.."
sh scripts/environment.sh
.venv/bin/nstyle --preset painterly --max-long-edge 512 "$@"
