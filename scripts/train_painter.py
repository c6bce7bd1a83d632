"""Train a painter of the kind of "vortices", which comes with nstyle, on photos that other packages installed.

  python scripts/train_painter.py --minutes 90
  python scripts/train_painter.py --minutes 90 --photos '/usr/share/wallpapers/*/contents/images/1920x1080.*'

With `--photos`, pictures, folders and patterns add photos of your own. All other flags are those of `nstyle-train`:
style, generator, steps, output. The same command continues a training that was interrupted. chelsea.jpg, the sample
photo, is painted to watch, and not trained on. `--list` prints the photos and trains nothing.

Photos: those of scikit-image and scikit-learn, see skimage/data/README.txt and sklearn/datasets/images/README.txt for
their authors and licences. No photo is copied.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from eye.pairs import PHOTOS, photo
from nstyle.commands.train import main as train
from nstyle.errors import NStyleError
from nstyle.painting.selection import expand

NOT_TRAINED_ON = {"chelsea", "camera", "hubble"}
"""Photos that are left out: the one that is painted to watch, a grey one, and one that is nearly black."""

STYLE = Path(__file__).resolve().parent.parent / "input" / "vortices.jpg"
OUTPUT = Path("models") / "vortices.safetensors"

FLAGS = {"--style-image": str(STYLE), "--output": str(OUTPUT), "--preset": "fast", "--content-weight": "0.6"}
"""Flags of `nstyle-train`, unless they are given."""


def photos(names: Sequence[str]) -> list[Path]:
    """Return the photos to train on: those of the packages, and what the names stand for.

    Raises:
        NStyleError: scikit-learn is not installed, or a name stands for no picture.

    """
    installed = [photo(name) for name in PHOTOS if name not in NOT_TRAINED_ON]
    return [*installed, *(expand("photos", list(names)) if names else [])]


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, or list the photos; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--photos", nargs="+", default=[], metavar="PATH", help="more photos, folders or patterns")
    parser.add_argument("--list", action="store_true", help="print the photos and train nothing")
    options, flags = parser.parse_known_args(arguments)
    given = {flag.partition("=")[0] for flag in flags}
    try:
        paths = photos(options.photos)
    except NStyleError as error:
        print(f"train_painter.py: error: {error}", file=sys.stderr)
        return 1
    if options.list:
        print(*paths, sep="\n")
        return 0
    defaults = [word for flag, value in FLAGS.items() if flag not in given for word in (flag, value)]
    return train([*defaults, *flags, "--photos", *map(str, paths)])


if __name__ == "__main__":
    sys.exit(main())
