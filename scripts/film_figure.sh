#!/bin/sh
# Paint a short film of two shots, a zoom into one photo and a pan over another, and show it beside its source:
# docs/gallery/film.gif. Takes about ten minutes on two CPU cores.
# usage: sh scripts/film_figure.sh [more flags of nstyle ...]
set -eu
CDPATH='' cd -- "$(dirname -- "$0")/.."
sh scripts/environment.sh
.venv/bin/python -c 'import av, cv2, scenedetect' || {
    echo "film_figure.sh: run .venv/bin/pip install -c constraints.txt '.[film]' first" >&2
    exit 1
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p docs/gallery "$work/frames"

.venv/bin/python - "$work/frames" <<'PYTHON'
import sys
from pathlib import Path

from PIL import Image
from skimage import data

FRAMES, SIZE = 14, (216, 144)


def window(photo, center, width):
    """Return a part of a photo around a point, enlarged or shrunk to SIZE; all in shares of the photo's width."""
    left, top = (photo.width * place for place in center)
    half = photo.width * width / 2
    high = half * SIZE[1] / SIZE[0]
    return photo.resize(SIZE, Image.Resampling.LANCZOS, box=(left - half, top - high, left + half, top + high))


cat, rocket = (Image.fromarray(picture()) for picture in (data.chelsea, data.rocket))  # CC0; public domain
shares = [number / (FRAMES - 1) for number in range(FRAMES)]
zoom = [window(cat, (0.5, 0.31), 0.9 - 0.3 * share) for share in shares]
pan = [window(rocket, (0.4 + 0.15 * share, 0.3), 0.7) for share in shares]
for number, frame in enumerate([*zoom, *pan]):
    frame.save(Path(sys.argv[1]) / f"{number:02}.png")
PYTHON

.venv/bin/nstyle --film "$work/frames" --style-image input/vortices.jpg --frame-rate 12 --preset painterly \
    --max-long-edge 216 --output-dir "$work/film" "$@"

.venv/bin/python - "$work/film" <<'PYTHON'
import sys
from pathlib import Path

from PIL import Image

film = Path(sys.argv[1])
pairs = []
for painted in sorted((film / "frames").iterdir()):
    source = Image.open(film / "source" / f"{painted.stem}.jpg")
    pair = Image.new("RGB", (2 * source.width, source.height))
    pair.paste(source, (0, 0))
    pair.paste(Image.open(painted), (source.width, 0))
    pairs.append(pair.quantize(96, dither=Image.Dither.NONE))
pairs[0].save("docs/gallery/film.gif", save_all=True, append_images=pairs[1:], duration=1000 // 12, loop=0)
PYTHON
