#!/bin/sh
# Paints the pictures that the README shows, anew, into docs/gallery/. The sample pair with every default takes the
# longest, some twenty minutes on two CPU cores; the others use bfloat16 where the processor has it.
set -eu
CDPATH='' cd -- "$(dirname -- "$0")/.."
sh scripts/environment.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p docs/gallery

# What scikit-image ships under CC0 (coffee: Rachel Michetti) and in the public domain (rocket: SpaceX).
.venv/bin/python - "$work" <<'PYTHON'
import sys
from pathlib import Path

from PIL import Image
from skimage import data

for name in ("coffee", "rocket"):
    Image.fromarray(getattr(data, name)()).save(Path(sys.argv[1]) / f"{name}.png")
PYTHON

.venv/bin/nstyle --output-dir "$work/chelsea"
for name in coffee rocket; do
    .venv/bin/nstyle --content-image "$work/$name.png" --precision auto --max-long-edge 480 --max-num-epochs 400 \
        --output-dir "$work/$name"
done

# Small JPEGs, all of them 400 pixels wide.
.venv/bin/python - "$work" <<'PYTHON'
import sys
from pathlib import Path

from PIL import Image

work, gallery = Path(sys.argv[1]), Path("docs/gallery")
chosen = {name: work / name / "final.jpg" for name in ("chelsea", "coffee", "rocket")}
chosen |= {f"chelsea_{epoch}": work / "chelsea" / f"e_{epoch}.jpg" for epoch in (50, 100, 200)}
for name, path in chosen.items():
    with Image.open(path) as picture:
        picture.thumbnail((400, 400), Image.Resampling.LANCZOS)
        picture.save(gallery / f"{name}.jpg", quality=88)
PYTHON
