#!/bin/sh
# Paint the gallery's pictures into docs/gallery/: four pairs with `--preset painterly`, about a minute each on two CPU
# cores, two photos with the painter that comes along, in seconds, and the sample pair with all defaults, about 20
# minutes.
# usage: sh scripts/gallery.sh [painterly | painter | reference]
set -eu
CDPATH='' cd -- "$(dirname -- "$0")/.."
parts=${1:-painterly painter reference}
sh scripts/environment.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p docs/gallery

# Photos from scikit-image: astronaut (NASA) and rocket (SpaceX) are public domain, coffee (Rachel Michetti) is CC0.
.venv/bin/python - "$work" <<'PYTHON'
import sys
from pathlib import Path

from PIL import Image
from skimage import data

for name in ("astronaut", "coffee", "rocket"):
    Image.fromarray(getattr(data, name)()).save(Path(sys.argv[1]) / f"{name}.png")
PYTHON
cp input/chelsea.jpg input/vortices.jpg "$work"

painterly() {
    .venv/bin/nstyle --preset painterly --max-long-edge 512 --content-image "$work/$1" --style-image "$work/$2" \
        --output-dir "$work/painterly_$3"
}
for part in $parts; do
    case $part in
    painterly)
        for manner in planes dabs pastel; do
            .venv/bin/python scripts/paint_style.py --manner $manner --output "$work/$manner.png"
        done
        painterly chelsea.jpg vortices.jpg chelsea
        painterly astronaut.png planes.png astronaut
        painterly coffee.png dabs.png coffee
        painterly rocket.png pastel.png rocket
        ;;
    painter)
        for name in chelsea.jpg astronaut.png; do
            .venv/bin/nstyle --painter vortices --max-long-edge 512 --content-image "$work/$name" \
                --output-dir "$work/painter_${name%.*}"
        done
        ;;
    reference) .venv/bin/nstyle --output-dir "$work/reference" ;;
    *) echo "$0: unknown part $part; choose painterly, painter or reference" >&2 && exit 2 ;;
    esac
done

# Save JPEGs in the size that the page shows: paintings 512 pixels wide, snapshots 400, styles 320.
.venv/bin/python - "$work" <<'PYTHON'
import sys
from pathlib import Path

from PIL import Image

work, gallery = Path(sys.argv[1]), Path("docs/gallery")
chosen = {folder.name: (folder / "final.jpg", 512) for folder in work.glob("painter*_*")}
chosen |= {f"style_{style.stem}": (style, 320) for style in work.glob("*.png") if style.stem in ("planes", "dabs", "pastel")}
if (work / "reference").exists():
    chosen |= {f"chelsea_{epoch}": (work / "reference" / f"e_{epoch}.jpg", 400) for epoch in (50, 100, 200)}
    chosen |= {"chelsea": (work / "reference" / "final.jpg", 400)}
for name, (path, width) in chosen.items():
    with Image.open(path) as picture:
        picture.thumbnail((width, width), Image.Resampling.LANCZOS)
        picture.convert("RGB").save(gallery / f"{name}.jpg", quality=88)
PYTHON
