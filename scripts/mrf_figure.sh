#!/bin/sh
# Paint the sample pair and a portrait with two style losses, Gram matrices and patches, into docs/gallery/. The
# portrait is NASA's of Eileen Collins, in the public domain, from scikit-image.
# usage: sh scripts/mrf_figure.sh [more flags of nstyle ...]
set -eu
CDPATH='' cd -- "$(dirname -- "$0")/.."
sh scripts/environment.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

.venv/bin/python - "$work" <<'PYTHON'
import sys
from pathlib import Path

from PIL import Image
from skimage import data

Image.fromarray(data.astronaut()[:400, 80:380]).save(Path(sys.argv[1]) / "portrait.png")
PYTHON

cp input/chelsea.jpg "$work/cat.jpg"
for name in cat.jpg portrait.png; do
    for loss in mrf gram; do
        .venv/bin/nstyle --content-image "$work/$name" --style-loss "$loss" --scales 3 --max-long-edge 384 \
            --max-num-epochs 80 --output-dir "$work/${loss}_${name%.*}" "$@"
    done
done

mkdir -p docs/gallery
.venv/bin/python - "$work" <<'PYTHON'
import sys
from pathlib import Path

from PIL import Image

for path in sorted(Path(sys.argv[1]).glob("*/final.jpg")):
    with Image.open(path) as picture:
        picture.thumbnail((384, 384), Image.Resampling.LANCZOS)
        picture.save(f"docs/gallery/{path.parent.name}.jpg", quality=85)
PYTHON
