#!/bin/sh
# Sets up the environment and paints the sample pair into output/. More flags may follow: sh scripts/demo.sh --seed 1
set -eu
CDPATH='' cd -- "$(dirname -- "$0")/.."
sh scripts/environment.sh
.venv/bin/nstyle --preset painterly --max-long-edge 512 "$@"
