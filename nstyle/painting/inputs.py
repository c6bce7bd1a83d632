"""The pictures that a painting is made from, the purpose of each, and their hashes."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nstyle.errors import ImageError, Kind
from nstyle.files import known_sha256
from nstyle.pictures.embedded_text import read_recipe_text
from nstyle.pictures.limits import SHORTEST_EDGE
from nstyle.pictures.metadata import NOTHING, Metadata, read_metadata
from nstyle.pictures.opening import reduction_of
from nstyle.pictures.picture import Picture
from nstyle.settings.config import Config
from nstyle.settings.groups import STARTS, WHOLE_STYLE
from nstyle.settings.painters import find_painter
from nstyle.settings.style_crop import Crop, parse_crop

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """A picture file and the name of its setting, as the run record spells it.

    Attributes:
        name: the name of the setting.
        path: the file.
        crop: the part of the picture that is used; None: all of it.

    """

    name: str
    path: Path
    crop: Crop | None = None

    def cropped(self, picture: Picture) -> Picture:
        """Return the part of the picture in the file that is used.

        Raises:
            ImageError: the part lies partly outside of the picture, is too small, or is wholly transparent.

        """
        if self.crop is None:
            return picture
        height, width = picture.size
        reduced = 1 if self.crop.in_percent else reduction_of(self.path)
        left, top, right, bottom = self.crop.box(width, height, reduced)
        if right > width or bottom > height:
            raise self._bad_crop(
                f"reaches to {right * reduced},{bottom * reduced}", "keep it inside", picture, reduced
            )
        if min(right - left, bottom - top) < SHORTEST_EDGE:
            size = f"{(right - left) * reduced}x{(bottom - top) * reduced}"
            raise self._bad_crop(f"is {size} pixels", f"each edge needs {SHORTEST_EDGE}", picture, reduced)
        rgb = picture.rgb[top:bottom, left:right].copy()  # copies, to free the memory of the whole
        alpha = None if picture.alpha is None else picture.alpha[top:bottom, left:right].copy()
        if alpha is not None and not alpha.any():
            raise self._bad_crop("is completely transparent", "choose a part with visible pixels", picture, reduced)
        return Picture(rgb, None if alpha is None or alpha.min() >= 1 else alpha)

    def _bad_crop(self, what: str, way_out: str, picture: Picture, reduced: int) -> ImageError:
        height, width = picture.size
        return ImageError(
            f"--style-crop {what} of {self.path}, which has {width * reduced}x{height * reduced}; {way_out}",
            flag="--style-crop",
            path=self.path,
            kind=Kind.OUT_OF_RANGE,
        )


@dataclass(frozen=True)
class StyleSource:
    """A style picture and its weight relative to the other styles."""

    picture: Source
    weight: float = 1.0


@dataclass(frozen=True)
class Placement:
    """A style, where in the painting it is used, and the part of the style picture that is used.

    Attributes:
        style: the style.
        region: a mask of the content; None: the style is used everywhere.
        part: a mask of the style picture; None: all of the picture is used.

    """

    style: StyleSource
    region: Source | None = None
    part: Source | None = None


@dataclass(frozen=True)
class Inputs:
    """The pictures of a painting.

    Attributes:
        content: the content picture; None for a texture.
        styles: the style pictures, `style_image` first.
        placements: where each style is used; without regions, one placement per style.
        start: the picture that the painting starts from, if `init` names a file and no painter makes the start.
        mask: the part of the content that is painted; None: everything.
        painter: the file of the painter, if there is one. It is no picture.

    """

    content: Source | None
    styles: tuple[StyleSource, ...]
    placements: tuple[Placement, ...]
    start: Source | None = None
    mask: Source | None = None
    painter: Source | None = None

    @property
    def sources(self) -> list[Source]:
        """All pictures, in the order in which they are read and recorded."""
        masks = [mask for placement in self.placements for mask in (placement.region, placement.part)]
        found = (self.content, *(style.picture for style in self.styles), self.start, self.mask, *masks)
        return [source for source in found if source is not None]

    @property
    def paths(self) -> list[Path]:
        """The files of `sources`, in the same order, and the painter's."""
        return [source.path for source in self.files]

    @property
    def files(self) -> list[Source]:
        """All pictures, and the painter."""
        return [*self.sources, *([] if self.painter is None else [self.painter])]

    @property
    def has_regions(self) -> bool:
        """Whether any style is limited to a region."""
        return any(placement.region is not None for placement in self.placements)


def inputs_of(config: Config) -> Inputs:
    """Return the pictures that the settings name, and the painter.

    A painter that paints in one pass needs no style picture.

    Raises:
        WeightsError: there is no such painter.

    """
    if config.in_one_pass:
        styles: tuple[StyleSource, ...] = ()
        placements: list[Placement] = []
    else:
        styles, placements = _styles_of(config)
    return Inputs(
        None if config.size is not None else Source("content_image", config.content_image),
        styles,
        tuple(placements),
        None if config.painter is not None or config.init in STARTS else Source("init", Path(config.init)),
        None if config.mask is None else Source("mask", config.mask),
        None if config.painter is None else Source("painter", find_painter(config.painter)),
    )


def _styles_of(config: Config) -> tuple[tuple[StyleSource, ...], list[Placement]]:
    """Return the style pictures, and where each is used."""
    crop = None if config.style_crop is None else parse_crop(config.style_crop)
    styles = (
        StyleSource(Source("style_image", config.style_image, crop)),
        *(StyleSource(Source(f"blend_style[{i}]", path), w) for i, (path, w) in enumerate(config.blend_style)),
    )
    placements = [Placement(style) for style in styles]
    if config.style_mask:
        placements = []
        for i, (region, part) in enumerate(config.style_mask):
            placements.append(
                Placement(
                    styles[i] if config.blend_style else styles[0],  # a single style uses all masks
                    Source(f"style_mask[{i}][0]", region),
                    None if part == WHOLE_STYLE else Source(f"style_mask[{i}][1]", Path(part)),
                )
            )
    return styles, placements


def kept_metadata(config: Config) -> Metadata:
    """Return the metadata of the content picture that the settings ask to keep."""
    found = _asked_metadata(config)
    if config.size is not None:
        return found
    if config.keep_metadata and not (found.texts or found.dates):
        _log.warning("%s tells no date, description, artist or copyright to keep", config.content_image)
    if config.keep_place and not found.place:
        _log.warning("%s tells no place to keep", config.content_image)
    return found


def _asked_metadata(config: Config) -> Metadata:
    if config.size is not None or not (config.keep_metadata or config.keep_place):
        return NOTHING
    return read_metadata(config.content_image, credits_=config.keep_metadata, place=config.keep_place)


def other_notes(config: Config, picture: Path) -> str | None:
    """Return how the recipe and metadata in a finished picture differ from what the settings ask for.

    Returns None if they do not differ: one has what the other has.

    Raises:
        ImageError: the picture cannot be read.

    """
    if (read_recipe_text(picture) is not None) == config.no_recipe:
        return "contains its recipe" if config.no_recipe else "contains no recipe"
    asked, found = _asked_metadata(config), read_metadata(picture, credits_=True, place=True)
    if bool(asked.place) != bool(found.place):
        return "tells the place" if found.place else "does not tell the place"
    if bool(asked.texts or asked.dates) != bool(found.texts or found.dates):
        return "tells the photo's metadata" if found.texts or found.dates else "does not tell the photo's metadata"
    return None


def hash_inputs(inputs: Inputs) -> dict[str, dict[str, str]]:
    """Return `hash_files` of all pictures, and of the painter."""
    return hash_files(inputs.files)


def hash_files(sources: Iterable[Source]) -> dict[str, dict[str, str]]:
    """Return "path" (absolute) and "sha256" of each file, by the name of its setting, for the run record.

    Raises:
        OSError: a file cannot be read.

    """
    return {
        source.name: {"path": str(source.path.absolute()), "sha256": known_sha256(source.path)} for source in sources
    }
