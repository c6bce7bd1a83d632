#!/bin/sh
# Reconstruct the sample content from the features of each of five layers (after Mahendran and Vedaldi, CVPR 2015).
# Writes a sheet of the pictures with their peak signal-to-noise ratios, docs/gallery/inversion.jpg, and inversion.txt.
# Takes about five minutes on two CPU cores.
# usage: sh scripts/inversion_figure.sh [more flags of nstyle ...]
set -eu
CDPATH='' cd -- "$(dirname -- "$0")/.."
sh scripts/environment.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p docs/gallery

for layer in relu1_1 relu2_1 relu3_1 relu4_1 relu5_1; do
    .venv/bin/nstyle --content-image input/chelsea.jpg --style-weight 0 --content-layers "$layer" \
        --tv-weight 20 --range-weight 50 --max-long-edge 224 --max-num-epochs 200 --stop-eps 0 \
        --image-format png --output-dir "$work/$layer" "$@"
done

.venv/bin/python - "$work" <<'PYTHON'
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from nstyle.pictures.picture import resize, to_uint8
from nstyle.pictures.decode import read_picture
from scripts.sheet import write_sheet

work, gallery = Path(sys.argv[1]), Path("docs/gallery")
found = sorted(work.glob("relu*/final.png"))
rebuilt = {path.parent.name: read_picture(path).rgb for path in found}
height, width, _ = next(iter(rebuilt.values())).shape
content = resize(read_picture(Path("input/chelsea.jpg")).rgb, height, width)
Image.fromarray(to_uint8(content)).save(work / "content.png")
pictures, lines = [("the picture", work / "content.png")], ["layer, peak signal-to-noise ratio in dB"]
for path, (layer, rgb) in zip(found, rebuilt.items(), strict=True):
    ratio = -10 * np.log10(np.mean((rgb - content) ** 2))
    pictures.append((f"{layer}: {ratio:.1f} dB", path))
    lines.append(f"{layer}, {ratio:.2f}")
write_sheet(gallery / "inversion.jpg", pictures, columns=2)
(gallery / "inversion.txt").write_text("\n".join(lines) + "\n")
print("\n".join(lines))
PYTHON
