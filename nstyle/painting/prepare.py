"""Prepare a painting from its settings: an objective, a start and a finish for each scale."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nstyle.errors import ImageError, Kind
from nstyle.losses.objective import Objective, Style, StyleTargets
from nstyle.losses.parts import Image
from nstyle.losses.tiles import Tiling
from nstyle.networks.features import Features
from nstyle.networks.model import ModelOptions
from nstyle.networks.model_space import ShownImage, from_model_space, shown_range, to_model_space
from nstyle.optim.catalog import OPTIMIZERS
from nstyle.optim.descent import SLOWDOWN
from nstyle.painting.convergence import parts_that_count
from nstyle.painting.finish import Finish, where_visible
from nstyle.painting.inputs import Inputs, Source, hash_files, inputs_of
from nstyle.painting.layers import ChosenLayers
from nstyle.painting.memory import Memory
from nstyle.painting.painters import Painter, Pass, choose_pass
from nstyle.painting.scale import Scale
from nstyle.painting.session import Loaded, Session
from nstyle.painting.sizes import ScaleSize, longest_edge, scale_sizes
from nstyle.painting.start import fitted_start, grain, noise, shown_content
from nstyle.painting.ways import Way, Work
from nstyle.pictures.color_transfer import is_grey, recolor_style, recolored
from nstyle.pictures.masks import Mask, rounded, to_mask
from nstyle.pictures.picture import Alpha, Picture, Rgb, resize, resize_picture
from nstyle.pictures.style_fit import Frame
from nstyle.settings.config import Config
from nstyle.settings.presets import content_factor
from nstyle.settings.scales import GRAIN_EDGE, epochs_at_scales


@dataclass(frozen=True)
class Prepared:
    """Everything that a painting needs.

    Attributes:
        scales: the scales, coarsest first; the last has the painting's full size.
        epochs: the largest number of epochs at each scale.
        descent: the other arguments of `descend`, the same at each scale.
        inputs: "path" and "sha256" of each input picture, by the name of its setting.
        weights: the source of the network's weights: path, SHA-256, and whether they are the original ones.
        memory: bytes that the descent at the finest scale needs, without the constant overhead.
        process_memory: bytes that the whole process needs, as `max_memory` counts them.
        seamless: whether the painting tiles.
        stop_after: the number of epochs, in all scales, after which the painting ends; None: it ends with the last
            scale.
        chosen: how a painter paints the starts; None: there is no painter.
        stages: what each stage of a chain of generators has painted, as soon as the start is made; empty: nothing is
            kept.

    """

    scales: tuple[Scale, ...]
    epochs: tuple[int, ...]
    descent: Mapping[str, Any]
    inputs: Mapping[str, Mapping[str, str]]
    weights: Mapping[str, Any]
    memory: int
    process_memory: int
    seamless: bool
    stop_after: int | None = None
    chosen: Pass | None = None
    stages: Sequence[Tensor] = ()

    @property
    def in_one_pass(self) -> bool:
        """Whether a painter paints the picture, as its start: there are no epochs."""
        return self.epochs == (0,)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture for display."""
        height, width = self.scales[-1].finish.content.size
        return width, height

    @property
    def has_alpha(self) -> bool:
        """Whether any part of the painting is transparent."""
        return self.scales[-1].finish.content.alpha is not None


def prepare(
    config: Config,
    device: torch.device,
    dtype: torch.dtype,
    session: Session | None = None,
    ways: Sequence[Way] | None = None,
    in_memory: Mapping[str, Picture] | None = None,
    besides: int = 0,
    painter: Painter | Pass | None = None,
) -> Prepared:
    """Read the pictures and the network, and prepare all scales; reuse what the session has in its cache.

    Args:
        config: the settings.
        device: the device of the descent.
        dtype: that of the network.
        session: the cache; None: a new one.
        ways: how to paint each scale, coarsest first; None: the best ways that fit into the memory.
        in_memory: content or masks, by the names of their settings, to use instead of their files: a film's frames
            are no files. They are not in `Prepared.inputs`. Messages name the path in the settings.
        besides: bytes on the device that the caller will need meanwhile, which count as used.
        painter: paints the starts when they are needed; None: `init` decides.

    Raises:
        NStyleError: a file cannot be used, the painting is too small, or it does not fit into memory.

    """
    session = Session() if session is None else session
    inputs, edge, in_memory = inputs_of(config), longest_edge(config), in_memory or {}
    pictures = {  # a part needs more pixels of the whole
        source: in_memory.get(source.name) or source.cropped(session.read(source.path, None if source.crop else edge))
        for source in inputs.sources
    }
    hashes = hash_files(source for source in inputs.files if source.name not in in_memory)
    sizes = scale_sizes(config, inputs, {source: picture.size for source, picture in pictures.items()})
    loaded = session.load(config.model, model_options(config, device, dtype))
    layers = ChosenLayers.chosen(config, loaded.model)
    in_use = session.memory_in_use(device, pictures.values()) + besides
    read = [picture for source, picture in pictures.items() if source.name not in in_memory]
    decoded = session.decoded_bytes(device, read)
    transparent = [source for source, picture in pictures.items() if picture.alpha is not None]
    used = layers.content, layers.style
    epochs, is_painted = epochs_at_scales(config.max_num_epochs, len(sizes)), painter is not None
    memory = Memory(
        config, inputs, loaded.model, dtype, device, *used, in_use, decoded, transparent, is_painted, sum(epochs)
    )
    ways = memory.choose(sizes, epochs) if ways is None else ways
    needed = list(map(memory.needed, sizes, ways, epochs))
    objectives = ObjectiveMaker(config, loaded, layers)
    finest = sizes[-1].height, sizes[-1].width
    chosen = None if painter is None else choose_pass(painter, finest, config, device, in_use)
    maker = _ScaleMaker(config, inputs, pictures, hashes, objectives, device, session, chosen)
    # The finest first: its errors are the clearest.
    work = list(map(memory.work, sizes, ways))
    scales = list(map(maker.make, reversed(sizes), reversed(ways), reversed(work)))
    scales[0].remakes = False  # no scale follows that would free it; this drops the style pictures
    if config.init == "noise" and painter is None and scales[-1].parts == (None,):
        scales[-1].slowdown = 1.0  # the reference's rule for the reference's start
    descent = config.descent_settings()
    if config.image_range == "clamped":
        descent["bounds"] = shown_range(torch.zeros((), device=device))
    return Prepared(
        tuple(reversed(scales)),
        epochs,
        descent,
        hashes,
        dict(loaded.model.provenance),
        needed[-1],
        memory.of_process(needed, sizes),
        config.seamless,
        config.stop_after,
        chosen,
    )


def model_options(config: Config, device: torch.device, dtype: torch.dtype) -> ModelOptions:
    """Return the options for loading the network."""
    return ModelOptions(
        weights=config.weights,
        weights_input=config.weights_input,
        pooling=config.pooling,
        device=device,
        dtype=dtype,
        convolution=config.convolution,
        padding=config.padding,
    )


@dataclass(frozen=True)
class ObjectiveMaker:
    """Maker of a scale's objective. It lives as long as the scale, so it does not hold the source pictures."""

    config: Config
    loaded: Loaded
    layers: ChosenLayers

    def make(
        self, content: Image, styles: list[Style], mask: Tensor | None, *, keeps_grey: bool, tiling: Tiling | None
    ) -> Objective:
        """Return the objective; the network processes content and styles for that."""
        config, model = self.config, self.loaded.model
        features: StyleTargets | Features = self.loaded.targets_in(tiling, config.output_dir)
        if model.adapt is not None:
            shown = styles[0].image[..., :, :]
            features = model.adapt((shown,) if config.size is not None else (content[..., :, :], shown))
        return Objective(
            features,
            content,
            styles,
            content_weight=config.content_weight * content_factor(config.strength),
            style_weight=config.style_weight,
            tv_weight=config.tv_weight,
            range_weight=config.range_weight,
            content_layers=self.layers.content,
            style_layers=self.layers.style,
            style_loss=config.style_loss,
            balance=config.balance,
            padding=config.padding,
            seamless=config.seamless,
            mask=mask,
            clip=OPTIMIZERS[config.optimizer].follows_clipped,
            grey=keeps_grey,
        )


@dataclass
class _ScaleMaker:
    """Maker of a painting's scales; it resizes each scale's pictures from the originals.

    `chosen` paints the starts; None: `init` decides. `keeps_grey` tells whether all scales are painted in grey; the
    first scale that is made, the finest, decides, since faint colors vanish in small pictures.
    """

    config: Config
    inputs: Inputs
    pictures: Mapping[Source, Picture]
    hashes: Mapping[str, Mapping[str, str]]
    objectives: ObjectiveMaker
    device: torch.device
    session: Session
    chosen: Pass | None = None
    keeps_grey: bool | None = None

    def make(self, size: ScaleSize, way: Way, work: Work) -> Scale:
        """Resize all pictures, and make the start, unless a painter does; the objective is made later, in this way.

        `work` is the amount of arithmetic of an epoch; see `Memory.work`.
        """
        config, device = self.config, self.device
        masks = self._fit_masks(size)
        picture = self._content_picture((size.height, size.width))
        mask = None if self.inputs.mask is None else masks[self.inputs.mask]
        where = where_visible(picture.size, mask, picture.alpha)
        framed = {
            source: self.session.style_picture(
                (self.hashes[source.name]["sha256"], source.crop, self.pictures[source].size, frame),
                partial(frame.picture, self.pictures[source]),
            )
            for source, frame in size.frames.items()
        }
        rgbs = {
            source: recolor_style(config.preserve_colors, style.rgb, picture.rgb, where, style.alpha, picture.alpha)
            for source, style in framed.items()
        }
        shown = shown_content(picture.rgb, config.preserve_colors)
        if self.keeps_grey is None:
            self.keeps_grey = config.grey == "keep" and all(is_grey(rgb) for rgb in (shown, *rgbs.values()))
        keeps_grey = self.keeps_grey
        finish = self._finish(size, picture, mask, is_grey=keeps_grey and is_grey(picture.rgb))
        mask_tensor = _mask_tensor(mask, device)
        images = {source: ShownImage(rgb, device) for source, rgb in rgbs.items()}
        first = self.inputs.styles[0].picture
        start: Tensor | Callable[[], Tensor]
        if self.chosen is not None:
            start = cache(partial(self.chosen.paint, picture, device))
        else:
            start = self._start(shown, picture.alpha, Picture(rgbs[first], framed[first].alpha))
        visible = {source: style.alpha for source, style in framed.items()}
        styles = self._place_styles(images, masks, visible, picture.alpha)
        make = partial(
            self.objectives.make, styles=styles, mask=mask_tensor, keeps_grey=keeps_grey, tiling=way.tiling
        )
        return Scale(
            partial(fitted_start, start, shown, mask_tensor, device, keeps_grey=keeps_grey),
            finish,
            picture,
            mask,
            partial(make, ShownImage(shown, device)),  # the scale holds the picture anyway, so no tensor stays
            parts=parts_that_count(mask_tensor, _mask_tensor(picture.alpha, device), styles),
            slowdown=SLOWDOWN,
            details=config.details,
            make_grain=self._make_grain(size),
            way=way,
            work=work,
        )

    def _make_grain(self, size: ScaleSize) -> Callable[[], Tensor] | None:
        if self.config.grain == 0 or max(size.height, size.width) < GRAIN_EDGE:
            return None
        return partial(grain, size.height, size.width, self.config.grain, self.config.seed)

    def _finish(self, size: ScaleSize, picture: Picture, mask: Mask | None, *, is_grey: bool) -> Finish:
        """Return the finish; `picture` and `mask` have the size of the painting's image."""
        if size.shown is not None:
            picture = self._content_picture(size.shown)
            mask = None if mask is None else rounded(resize(mask, *size.shown))
        return Finish(picture, self.config.preserve_colors, mask, grey=is_grey, seamless=self.config.seamless)

    def _content_picture(self, size: tuple[int, int]) -> Picture:
        """Return the content at this size; for a texture, a black picture, which the objective ignores."""
        if self.inputs.content is None:
            return Picture(np.zeros((*size, 3), dtype=np.float32), None)
        return resize_picture(self.pictures[self.inputs.content], *size)

    def _start(self, shown: Rgb, alpha: Alpha | None, style: Picture) -> Tensor | Callable[[], Tensor]:
        """Return the image that the painting starts from, 1 x 3 x H x W, or a function that makes it.

        `shown` is the content as the network sees it. Pictures are resized to it.
        """
        height, width, _ = shown.shape
        if self.inputs.start is not None:
            return to_model_space(resize_picture(self.pictures[self.inputs.start], height, width).rgb)
        if self.config.init == "noise":
            return partial(noise, height, width, self.config.seed)
        if self.config.init == "content":
            return partial(to_model_space, shown)
        if self.config.init == "recolored":
            as_seen = from_model_space(to_model_space(shown))
            return to_model_space(recolored(as_seen, style.rgb, alpha, style.alpha))
        return to_model_space(style.rgb if style.size == (height, width) else resize(style.rgb, height, width))

    def _fit_masks(self, size: ScaleSize) -> dict[Source, Mask]:
        """Return the masks, each resized like the picture that it belongs to.

        Raises:
            ImageError: the aspect ratio of a mask differs from its picture's, or a mask leaves nothing to paint.

        """
        masks: dict[Source, Mask] = {}
        content, whole = self.inputs.content, Frame((size.height, size.width), (size.height, size.width))
        mask = self.inputs.mask
        if content is None:  # a texture has no masks
            return masks
        if mask is not None:
            masks[mask] = fitted_mask(self.pictures, mask, content, whole)
        for placement in self.inputs.placements:
            style, region, part = placement.style.picture, placement.region, placement.part
            if region is not None:
                masks[region] = fitted_mask(self.pictures, region, content, whole)
            if part is not None:
                masks[part] = fitted_mask(self.pictures, part, style, size.frames[style])
            if mask is not None and region is not None and not (masks[region] * masks[mask]).any():
                raise ImageError(
                    f"{region.path} and {mask.path} do not overlap, so that style would be unused; "
                    "make their white parts overlap",
                    flag="--style-mask",
                    path=region.path,
                    kind=Kind.CONFLICT,
                )
        return masks

    def _place_styles(
        self,
        images: Mapping[Source, Image],
        masks: Mapping[Source, Mask],
        visible: Mapping[Source, Alpha | None],
        content_alpha: Alpha | None,
    ) -> list[Style]:
        """Return the styles with their weights and masks. Transparent pixels of either picture do not count.

        Without regions, the weights are normalized to a sum of 1, so that more styles do not outweigh the content.
        With regions, each style has its own weight in its region, regardless of the others.
        """
        inputs = self.inputs
        total = 1.0 if inputs.has_regions else sum(style.weight for style in inputs.styles)
        placed = []
        for placement in inputs.placements:
            source = placement.style.picture
            region = None if placement.region is None else masks[placement.region]
            part = None if placement.part is None else masks[placement.part]
            placed.append(
                Style(
                    images[source],
                    placement.style.weight / total,
                    _mask_tensor(_both(part, visible[source]), self.device),
                    _mask_tensor(_both(region, content_alpha), self.device),
                )
            )
        return placed


def fitted_mask(pictures: Mapping[Source, Picture], mask: Source, of: Source, frame: Frame) -> Mask:
    """Return a mask, resized like the picture that it belongs to.

    Raises:
        ImageError: the aspect ratios differ, or nothing is left to paint.

    """
    levels = to_mask(pictures[mask], pictures[of], str(mask.path), str(of.path))
    fitted = rounded(frame.levels(levels))
    if not fitted.any():
        raise ImageError(
            f"{mask.path} is black wherever {of.path} is used; paint the wanted part white",
            path=mask.path,
            kind=Kind.OUT_OF_RANGE,
        )
    return fitted


def _both(mask: Mask | None, alpha: Alpha | None) -> Mask | None:
    """Return the product of a mask and alpha; None counts as 1 everywhere."""
    if mask is None or alpha is None:
        return alpha if mask is None else mask
    return mask * alpha


def _mask_tensor(mask: Mask | None, device: torch.device) -> Tensor | None:
    """Return a mask as a tensor, 1 x 1 x H x W."""
    return None if mask is None else torch.from_numpy(mask)[None, None].to(device)
