"""The pairs that every painter paints: photos from other packages, and our own style pictures."""

import importlib.util
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from eye.measures import Bytes
from nstyle.errors import Kind, NStyleError

SCRIPTS = Path(__file__).resolve().parent.parent
SAMPLE_STYLE = "vortices"

PHOTOS = {
    "china": ("sklearn", "datasets/images/china.jpg"),
    "flower": ("sklearn", "datasets/images/flower.jpg"),
    "astronaut": ("skimage", "data/astronaut.png"),
    "camera": ("skimage", "data/camera.png"),
    "chelsea": ("skimage", "data/chelsea.png"),
    "coffee": ("skimage", "data/coffee.png"),
    "hubble": ("skimage", "data/hubble_deep_field.jpg"),
    "motorcycle": ("skimage", "data/motorcycle_left.png"),
    "rocket": ("skimage", "data/rocket.jpg"),
}
"""Package of each photo, and its file in that package."""

PAIRS = (
    ("china", "vortices"),  # a wide plain sky
    ("rocket", "pastel"),  # another plain sky
    ("astronaut", "planes"),  # a portrait
    ("chelsea", "vortices"),  # an animal; the sample pair
    ("coffee", "dabs"),  # a still life
    ("camera", "ink"),  # grey
    ("flower", "mosaic"),
    ("motorcycle", "planes"),  # many small parts
    ("china", "dabs"),
    ("rocket", "vortices"),
    ("astronaut", "pastel"),
    ("hubble", "mosaic"),  # black
)
"""Names of the content and style of each pair."""

REFERENCE = "reference"
"""Name of the pair of the user's own two files."""

CONTENT, STYLE = "content.png", "style.png"


@dataclass(frozen=True)
class Pair:
    """A named pair of a content and a style picture, as PNG files in a folder."""

    name: str
    folder: Path

    @property
    def content(self) -> Path:
        """The content picture."""
        return self.folder / CONTENT

    @property
    def style(self) -> Path:
        """The style picture."""
        return self.folder / STYLE


def make_pairs(
    folder: Path, names: list[str] | None = None, reference: tuple[Path, Path] | None = None
) -> list[Pair]:
    """Write each pair into its own sub-folder. Existing files stay.

    Args:
        folder: the folder of all pairs.
        names: names of the pairs to write; None: all.
        reference: content and style of an additional pair.

    Raises:
        NStyleError: a name is unknown, a package is missing, or a style cannot be painted.

    """
    sources = {f"{content}-{style}": (content, style) for content, style in PAIRS}
    known = [*sources, *([REFERENCE] if reference else [])]
    if unknown := [name for name in names or () if name not in known]:
        raise NStyleError(
            f"there is no pair {unknown[0]}; choose from {', '.join(known)}", flag="--only", kind=Kind.UNKNOWN
        )
    pairs = [Pair(name, folder / name) for name in known if names is None or name in names]
    for pair in pairs:
        pair.folder.mkdir(parents=True, exist_ok=True)
        if pair.name == REFERENCE and reference:
            files = reference
        else:
            content, style = sources[pair.name]
            files = photo(content), style_picture(style, folder)
        for source, target in zip(files, (pair.content, pair.style), strict=True):
            if not target.exists():
                Image.fromarray(read(source)).save(target)
    return pairs


def found_pairs(folder: Path) -> list[Pair]:
    """Return the pairs that `make_pairs` wrote into a folder, sorted by name."""
    return [Pair(path.parent.name, path.parent) for path in sorted(folder.glob(f"*/{CONTENT}"))]


def photo(name: str) -> Path:
    """Return the path of a photo.

    Raises:
        NStyleError: its package is not installed.

    """
    package, file = PHOTOS[name]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise NStyleError(f"{name} is a photo of scikit-learn: pip install 'nstyle[bench]'", kind=Kind.MISSING)
    return Path(spec.origin).parent / file


def style_picture(name: str, folder: Path) -> Path:
    """Return the path of a style picture. Paints it into the folder first if it is missing there.

    Raises:
        NStyleError: painting it failed.

    """
    if name == SAMPLE_STYLE:
        return SCRIPTS.parent / "input" / "vortices.jpg"
    path = folder / f"{name}.png"
    if not path.exists():
        unfinished = path.with_suffix(".part.png")
        command = [sys.executable, str(SCRIPTS / "paint_style.py"), str(unfinished), "--manner", name]
        if subprocess.run(command).returncode:
            raise NStyleError(
                f"scripts/paint_style.py failed to paint the style {name}: see above", kind=Kind.MISSING
            )
        shutil.move(unfinished, path)
    return path


def read(path: Path, size: tuple[int, int] | None = None) -> Bytes:
    """Read a picture as sRGB, H x W x 3, uint8.

    Args:
        path: a file in any format that Pillow reads.
        size: (height, width) to resize to; None: keep the size.

    Raises:
        NStyleError: the file cannot be read as a picture.

    """
    try:
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
    except OSError as error:
        raise NStyleError(f"{path} cannot be read as a picture: {error}", path=path, kind=Kind.UNREADABLE) from error
    if size is not None and picture.size != size[::-1]:
        picture = picture.resize(size[::-1], Image.Resampling.LANCZOS)
    return np.asarray(picture)
