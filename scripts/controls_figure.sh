#!/bin/sh
# Paint the documentation's pictures of the controls, docs/gallery/controls_*.jpg: masks, blended and scaled styles,
# styles in regions, and the three ways to keep the content's colors. Uses the sample pair and a mosaic as second style.
# usage: sh scripts/controls_figure.sh [PICTURE ...]     PICTURE: only these, such as scale_2 or luma
# All pictures take about 20 minutes on two CPU cores.
set -eu
CDPATH='' cd -- "$(dirname -- "$0")/.."
sh scripts/environment.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p docs/gallery

# Make a mosaic of warm tiles as the second style, and masks with the size of the content (451 x 300).
.venv/bin/python - "$work" <<'PYTHON'
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.spatial import cKDTree
from skimage.filters import gaussian

work = Path(sys.argv[1])
generator = np.random.default_rng(11)

height, width, size = 400, 600, 22
rows, columns = np.mgrid[0 : height + size : size, 0 : width + size : size].astype(float)
columns[1::2] += size / 2
centres = np.stack([rows, columns], axis=-1).reshape(-1, 2) + generator.normal(scale=size / 6, size=(rows.size, 2))
palette = np.array([[196, 63, 36], [226, 137, 44], [241, 205, 120], [122, 30, 30], [250, 238, 214], [38, 84, 84]])
slow = gaussian(generator.normal(size=(height, width)), sigma=45)
levels = slow[tuple(np.clip(centres, 0, [height - 1, width - 1]).astype(int).T)]
order = np.argsort(np.argsort(levels + generator.normal(scale=levels.std() / 2, size=levels.shape)))
tiles = palette[order * len(palette) // len(order)] + generator.normal(scale=9, size=(len(order), 3))
places = np.stack(np.mgrid[0:height, 0:width], axis=-1).reshape(-1, 2)
distance, nearest = cKDTree(centres).query(places, k=2)
border = np.clip((distance[:, 1] - distance[:, 0]) / 3 - 0.3, 0, 1)[:, None]
light = 1 + 0.012 * (centres[nearest[:, 0]] - places).sum(axis=1, keepdims=True)
mosaic = border * tiles[nearest[:, 0]] * light + (1 - border) * np.array([60, 52, 48])
Image.fromarray(np.clip(mosaic, 0, 255).astype(np.uint8).reshape(height, width, 3)).save(work / "mosaic.png")

y, x = np.mgrid[0:300, 0:451]
left = np.clip((225.5 - x) / 30 + 0.5, 0, 1)
background = np.clip((np.hypot((x - 232) / 150, (y - 165) / 150) - 1) * 6 + 0.5, 0, 1)
for name, mask in (("left", left), ("right", 1 - left), ("background", background)):
    Image.fromarray(np.rint(255 * mask).astype(np.uint8)).save(work / f"{name}.png")
PYTHON

paint() { # NAME FLAG ...
    name=$1
    shift
    case " ${wanted:-$name} " in *" $name "*) ;; *) return 0 ;; esac
    .venv/bin/nstyle --quiet --init content --max-long-edge 256 --max-num-epochs "${EPOCHS:-100}" --output-dir "$work/$name" "$@"
    .venv/bin/python - "$work/$name/final.jpg" "docs/gallery/controls_$name.jpg" <<'PYTHON'
import sys

from PIL import Image

with Image.open(sys.argv[1]) as picture:
    picture.save(sys.argv[2], quality=88)
PYTHON
    echo "docs/gallery/controls_$name.jpg"
}

wanted=$*
paint blend --blend-style "$work/mosaic.png" 1
paint regions --blend-style "$work/mosaic.png" 0.3 --style-mask "$work/left.png" all --style-mask "$work/right.png" all
paint mask --mask "$work/background.png"
for scale in 0.5 1 2; do
    paint "scale_$scale" --style-scale "$scale"
done
for colors in luma histogram covariance; do
    paint "$colors" --preserve-colors "$colors"
done
.venv/bin/python - "$work/mosaic.png" docs/gallery/controls_mosaic.jpg <<'PYTHON'
import sys

from PIL import Image

with Image.open(sys.argv[1]) as picture:
    picture.resize((256, 171), Image.Resampling.LANCZOS).save(sys.argv[2], quality=88)
PYTHON
