"""How much memory a painting takes, and how to paint it with the memory that there is."""

import logging
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import torch

from nstyle.devices import free_memory
from nstyle.errors import DeviceError, Kind
from nstyle.losses.catalog import STYLE_LOSSES
from nstyle.losses.footprint import bytes_of_maps, bytes_offloaded, work_of_gradient, work_of_patches
from nstyle.losses.tiles import Tiling
from nstyle.networks.blocks import Surrounded, blocks_of
from nstyle.networks.model import Model
from nstyle.networks.padding import MARGINS, Padded, seamless
from nstyle.networks.vgg19 import VGG19
from nstyle.numerics import STRIP
from nstyle.offload import free_room
from nstyle.optim.catalog import OPTIMIZERS
from nstyle.painting.finish import bytes_of_finishing
from nstyle.painting.inputs import Inputs, Source
from nstyle.painting.session import STYLE_BYTES
from nstyle.painting.sizes import ScaleSize
from nstyle.painting.smaller import smaller
from nstyle.painting.ways import CPU_VALUES, TILINGS, WHOLE, Way, Work
from nstyle.settings.config import Config

_log = logging.getLogger(__name__)

GPU_VALUES = 2**31
"""Number of a map's values from which a GPU's library has only slow algorithms. In float32, an epoch at 7200 pixels
took 15.6 s whole, and one at 9600 pixels in large tiles 7.1 s."""

BYTES_PER_PIXEL = {torch.float32: 1900, torch.bfloat16: 1250}
"""Bytes of memory for each pixel of the painting, if the network does not tell its blocks: VGG-19's, measured on a
CPU."""

GUIDED_BYTES_PER_PIXEL = 500
"""Bytes that masks add to that: a masked copy of one feature map at a time."""

STYLE_BYTES_PER_PIXEL = 600
"""Bytes of memory for each pixel of a style picture that such a network reads."""

PIXEL_BYTES = 12
"""Bytes of a pixel of an image: three values in float32."""

UPDATE_IMAGES = 3
"""Images of an update besides those of the optimizer: the gradient, that of the total variation, and their sum; later
the gradient, the new velocity and the new image. Each pixel has `PIXEL_BYTES` of an image."""

GUIDED_IMAGES = 3
"""Images that masks and transparency add to that: weighted images and changes."""

MASK_BYTES = 16
"""Bytes for each pixel and each mask, and for transparency: an array, a tensor, and guidance at the layers."""

STRIP_IMAGES = 3
"""Strips of images (`numerics.STRIP`) that an update makes besides."""

RESIZE_BYTES = 24
"""Bytes for each pixel of the painting while the content is resized."""

ALPHA_BYTES = 4
"""Bytes of a pixel's transparency."""

RESERVE = 1.2
"""Factor on the estimate, for what malloc cannot use: measured paintings of 384 and 512 pixels take 0.9 to 1.15 times
the estimate."""

MOST_UNUSABLE = 400_000_000
"""Bytes of images to which that factor applies: large ones get pages of their own, which malloc returns."""

TILES_RESERVE, TILE_RESERVE = 90_000_000, 1.5
"""Bytes that malloc keeps while tiles come and go, as measured at 1024 and 2048 pixels: a constant, and a multiple of
the bytes of a tile's values. `devices.reusing_freed_memory` holds it to that."""

SPREAD = 1.03
"""Factor on the limit that an error names: what a process uses when it starts differs by some MB from run to run."""

STARTUP = 40_000_000
"""Bytes that a process still loads after the estimate: the libraries for finished pictures, and PyTorch's buffers."""

CONVOLUTION_BYTES = 40_000_000
"""Bytes that PyTorch keeps for the network's convolutions: whole and in tiles, the process then grows by 60 to 70 MB
with what it loads."""

SCALE_BYTES = 20_000_000
"""Bytes that each coarser scale leaves behind besides its content: what PyTorch keeps for convolutions of its size,
and what malloc cannot give back. Three scales of 128, 181 and 256 pixels below one of 384 leave 80 to 90 MB, compared
with a painting in one scale; 30 of them lie within `RESERVE`."""


@dataclass(frozen=True)
class Memory:
    """What decides how much memory a painting takes.

    Attributes:
        config: the settings.
        inputs: the pictures.
        model: the network.
        dtype: that of the network.
        device: the device whose memory counts.
        content_layers: the names of the content layers.
        style_layers: the names of the style layers.
        in_use: bytes that the process uses on the device before the scales are made: `needed` has their pictures.
        decoded: those of `in_use` that are free again when the painting begins: the pictures as they were read.
        transparent: the pictures that are transparent somewhere.
        is_painted: whether a painter paints the starts.
        all_epochs: the number of epochs in all scales, which decides whether a snapshot is due; if it is less than
            those of a scale, only they count.

    """

    config: Config
    inputs: Inputs
    model: Model
    dtype: torch.dtype
    device: torch.device
    content_layers: Collection[str]
    style_layers: Collection[str]
    in_use: int = 0
    decoded: int = 0
    transparent: Collection[Source] = ()
    is_painted: bool = False
    all_epochs: int = 0

    @property
    def network(self) -> Surrounded | None:
        """The network's blocks, as it sees the painting; None: it runs only over whole pictures.

        Weights that are adapted to the pictures need all maps of the whole pictures.
        """
        return None if self.model.adapt is not None else self._blocks

    @property
    def _blocks(self) -> Surrounded | None:
        features = self.model.features
        return blocks_of(seamless(features) if self.config.seamless else features)

    @property
    def layers(self) -> set[str]:
        """The names of all content and style layers."""
        return {*self.content_layers, *self.style_layers}

    def ways(self) -> list[Way]:
        """Return the ways in which a scale may be painted, the best first.

        Tiles cost time, a short history costs quality: so it is shortened only if no tiles are small enough.
        """
        most = CPU_VALUES if self.device.type == "cpu" else math.inf
        tilings = [one for one in TILINGS if one is None or (self.network is not None and one.values <= most)]
        shorter = OPTIMIZERS[self.config.optimizer].histories[1:]
        return [Way(tiling, history) for history in (None, *shorter) for tiling in tilings]

    def needed(self, size: ScaleSize, way: Way, epochs: int) -> int:
        """Return the bytes that this many epochs of a painting of this size take, besides the process itself."""
        pixels = size.height * size.width
        image, tiling = pixels * PIXEL_BYTES, way.tiling
        held = (self._pictures + 1) * image + pixels * MASK_BYTES * self._masks  # with the image itself
        held += self._of_patches(size) + self._of_shown(size)
        # A checkpoint to continue from is read before the targets are made.
        reading = held + self._images_of_checkpoint(way, epochs) * image + self._of_reading(size, tiling)
        held += self._images_of_optimizer(way, epochs) * image + self._of_kept_styles(size)
        gradient = image + RESERVE * self._of_painting(size, tiling) + self._of_tiles(tiling)
        update = (UPDATE_IMAGES + GUIDED_IMAGES * (self._masks > 0)) * image
        update += STRIP_IMAGES * min(image, STRIP * 4)
        target = self._of_content_target(size, tiling)
        later = target + max(update, pixels * bytes_of_finishing(self.config, max(epochs, self.all_epochs)))
        painting = held + max(gradient, later)
        constant = CONVOLUTION_BYTES + self._of_kernels() + STYLE_LOSSES[self.config.style_loss].working_bytes
        reserve = (RESERVE - 1) * min(held + later, MOST_UNUSABLE)
        preparing = pixels * RESIZE_BYTES + self.decoded
        return max(int(max(reading, painting) + reserve) + constant - self.decoded, preparing)

    def _of_shown(self, size: ScaleSize) -> int:
        """Return the bytes of the content and its masks in the size of the picture for display, if it differs."""
        return 0 if size.shown is None else math.prod(size.shown) * (PIXEL_BYTES + ALPHA_BYTES * self._masks)

    @property
    def _pictures(self) -> int:
        """Number of pictures that a scale holds: content, a grey one for "luma", and a start that is kept."""
        keeps_start = self.is_painted or self.inputs.start is not None or self.config.init in ("style", "recolored")
        return 1 + (self.config.preserve_colors == "luma") + keeps_start

    @property
    def _masks(self) -> int:
        """The number of masks of the painting; transparency is one."""
        regions = sum(placement.region is not None for placement in self.inputs.placements)
        return regions + (self.inputs.mask is not None) + (self.inputs.content in self.transparent)

    def _images_of_optimizer(self, way: Way, epochs: int) -> int:
        """Return the number of images that the optimizer keeps; its history has a step less than there are epochs."""
        optimizer = OPTIMIZERS[self.config.optimizer]
        default = optimizer.histories[0] if optimizer.histories else 0
        history = default if way.history is None else way.history
        return 1 + optimizer.images + 2 * min(history, epochs - 1)

    def _images_of_checkpoint(self, way: Way, epochs: int) -> int:
        """Return the number of images in a checkpoint besides the painting's: a velocity, moments, or a history."""
        optimizer = OPTIMIZERS[self.config.optimizer]
        return self._images_of_optimizer(way, epochs) - max(0, optimizer.images - 1)

    def _of_content_target(self, size: ScaleSize, tiling: Tiling | None) -> int:
        """Return the bytes of the content's maps at the content layers."""
        if self.network is None:
            return 0  # `BYTES_PER_PIXEL` has them
        if tiling is not None and tiling.offloads:
            return 0
        target = 0
        for i, block in enumerate(self.network.blocks):
            layers = len(block.reach.keys() & set(self.content_layers))
            target += (size.height >> i) * (size.width >> i) * block.widest * layers * self.dtype.itemsize
        return target

    def offloaded(self, size: ScaleSize, way: Way) -> int:
        """Return the bytes that a painting of this size takes on disk, or in main memory for a GPU."""
        tiling = way.tiling
        if tiling is None or not tiling.offloads or self.network is None:
            return 0
        kept = replace(tiling, offloads=False)
        styles = (frame.window for frame in size.frames.values())
        maps = (
            bytes_offloaded(self.network, self.layers, tiling, edges, self.dtype.itemsize)
            for edges in ((size.height, size.width), *styles)
        )
        return self._of_content_target(size, kept) + max(maps)

    def _of_painting(self, size: ScaleSize, tiling: Tiling | None) -> int:
        """Return the bytes of the network's maps while the painting's gradient is computed."""
        guided = self.inputs.mask is not None or self.inputs.has_regions
        if self.network is None:
            margin = MARGINS.get("wrap" if self.config.seamless else self.config.padding, 0)
            per_pixel = self.model.bytes_per_pixel or BYTES_PER_PIXEL[self.dtype]
            per_pixel += guided * GUIDED_BYTES_PER_PIXEL
            return (size.height + 2 * margin) * (size.width + 2 * margin) * per_pixel
        more = STYLE_LOSSES[self.config.style_loss].working_maps + 2 * guided
        edges = size.height, size.width
        maps = bytes_of_maps(self.network, self.layers, tiling, edges, self.dtype.itemsize, more)
        return maps + self._of_content_target(size, tiling)

    def _of_kernels(self) -> int:
        """Return the bytes that VGG-19 needs for Winograd's algorithm."""
        features = self.model.features
        features = features.features if isinstance(features, Padded) else features
        in_float32 = self.dtype == torch.float32 and self.device.type == "cpu"
        return features.winograd_bytes(self.layers) if isinstance(features, VGG19) and in_float32 else 0

    def _of_reading(self, size: ScaleSize, tiling: Tiling | None) -> float:
        """Return the bytes that making the targets takes: the style pictures, and the network's maps of a picture."""
        styles = [math.prod(frame.window) for frame in size.frames.values()]
        of_content = self._of_style(size.height * size.width, tiling) + self._of_content_target(size, tiling)
        maps = max([of_content, *(self._of_style(style, tiling) for style in styles)])
        return self._of_styles(size) + RESERVE * maps + self._of_tiles(tiling)

    def _of_styles(self, size: ScaleSize) -> int:
        """Return the bytes of the style pictures."""
        recolored = PIXEL_BYTES * (self.config.preserve_colors != "none")
        return sum(
            math.prod(frame.window) * (PIXEL_BYTES + recolored + ALPHA_BYTES * (style in self.transparent))
            for style, frame in size.frames.items()
        )

    def _of_kept_styles(self, size: ScaleSize) -> int:
        """Return the bytes of the style pictures that stay when their targets are made: in the session's cache."""
        styles = [math.prod(frame.window) * PIXEL_BYTES for frame in size.frames.values()]
        return min(sum(style for style in styles if style <= STYLE_BYTES), STYLE_BYTES)

    def _of_patches(self, size: ScaleSize) -> int:
        """Return the bytes of targets that are the styles' maps, and not only sums over them."""
        if self.network is None or STYLE_LOSSES[self.config.style_loss].summed:
            return 0
        values = sum(
            block.widest * len(block.reach.keys() & set(self.style_layers)) / 4**i
            for i, block in enumerate(self.network.blocks)
        )
        return int(4 * values * sum(math.prod(frame.window) for frame in size.frames.values()))

    def _of_tiles(self, tiling: Tiling | None) -> float:
        """Return the bytes that malloc keeps while tiles come and go."""
        return 0 if tiling is None else TILES_RESERVE + TILE_RESERVE * tiling.values * self.dtype.itemsize

    def _of_style(self, pixels: int, tiling: Tiling | None) -> int:
        """Return the bytes of the network's maps while a style picture is read."""
        if tiling is None:
            return pixels * STYLE_BYTES_PER_PIXEL
        values = 0.0
        is_summed = bool(STYLE_LOSSES[self.config.style_loss].summed)
        for i, block in enumerate(self.network.blocks if self.network is not None else ()):
            whole = 0 if is_summed else 2 * len(block.reach.keys() & set(self.layers))
            pooled = 0 if tiling.offloads else block.pooled_channels / 4
            values += (block.widest * whole + pooled) / 4**i
        return int(pixels * (values * 4 + PIXEL_BYTES))  # with the picture in model space

    def of_process(self, needed: Sequence[int], sizes: Sequence[ScaleSize]) -> int:
        """Return the bytes of the whole process, as `max_memory` counts them, if the scales need so many.

        `sizes` are those of all scales, coarsest first.
        """
        scales = enumerate(needed)
        return self.in_use + STARTUP + max(one + self._of_others(sizes, number) for number, one in scales)

    def _of_others(self, sizes: Sequence[ScaleSize], number: int) -> int:
        """Return the bytes of all scales but one: their pictures, and what the coarser ones leave behind."""
        others = [*sizes[:number], *sizes[number + 1 :]]
        pictures = sum(
            self._pictures * size.height * size.width * PIXEL_BYTES + self._of_shown(size) for size in others
        )
        return SCALE_BYTES * number + pictures + sum(map(self._of_styles, others))

    def work(self, size: ScaleSize, way: Way) -> Work:
        """Return the amount of arithmetic of an epoch; of matching, 0 if the network does not tell its blocks."""
        edges = size.height, size.width
        network = self._blocks
        if network is None:
            return Work(math.prod(edges))
        matching = 0.0
        if STYLE_LOSSES[self.config.style_loss].matches:
            for placement in self.inputs.placements:
                window = size.frames[placement.style.picture].window
                matching += work_of_patches(network, self.style_layers, way.tiling, edges, window)
        return Work(work_of_gradient(network, self.layers, way.tiling, edges), matching)

    def choose(self, sizes: Sequence[ScaleSize], epochs: Sequence[int]) -> list[Way]:
        """Return the best way that fits, for each of the scales; `epochs` has the number of epochs of each.

        Raises:
            DeviceError: a scale does not fit in any way. The message names the least memory that would do, and
                changes of the settings that need less.

        """
        limit = self.config.memory_limit
        there = free_memory(self.device) if limit is None else limit - self.in_use - STARTUP
        numbers = reversed(range(len(sizes)))  # an error names the finest
        ways = [self._choose(sizes, number, epochs[number], there, limit) for number in numbers]
        return ways[::-1]

    def _choose(
        self, sizes: Sequence[ScaleSize], number: int, epochs: int, there: int | None, limit: int | None
    ) -> Way:
        """Return the best way that fits for the scale of this number; whole, if the memory is unknown."""
        if there is None:
            return WHOLE
        size = sizes[number]
        there -= self._of_others(sizes, number)
        room = free_room(self.device, self.config.output_dir)
        every = [way for way in self.ways() if way.tiling is not None or not self._is_slow_whole(size)]
        ways = [way for way in every if self.offloaded(size, way) <= room]
        for way in ways:
            if (needed := self.needed(size, way, epochs)) <= there:
                if way != WHOLE:
                    _log.info(
                        "%dx%d pixels: painting %s, with about %s besides the program%s; whole it would be %s",
                        *(size.width, size.height, way, amount(needed)),
                        f" and {amount(offloaded)} elsewhere" if (offloaded := self.offloaded(size, way)) else "",
                        amount(self.needed(size, WHOLE, epochs)),
                    )
                return way
        smallest = min(ways, key=lambda way: self.needed(size, way, epochs))
        least = self.needed(size, smallest, epochs)

        def fits(smaller_size: ScaleSize) -> bool:
            # with a coarsest edge, a smaller painting has fewer scales; otherwise it has as many
            has_fewer = self.config.coarsest_edge is not None
            left = [one for one in sizes[:number] if not has_fewer or one.height < smaller_size.height]
            finer = sizes[number + 1 :]
            more = there + self._of_others(sizes, number) - self._of_others([*left, smaller_size, *finer], len(left))
            return any(self.needed(smaller_size, way, epochs) <= more for way in ways)

        flag, value, fitting = smaller(self.config, size, fits)
        lower = "" if fitting is None else f"lower {flag} to {fitting}"
        elsewhere = [self.offloaded(size, way) for way in every if self.needed(size, way, epochs) <= there]
        place = self.config.output_dir if self.device.type == "cpu" else "main memory"
        more_room = f", or have {amount(math.ceil(min(elsewhere) / 1e8) * 1e8)} free in {place}" if elsewhere else ""
        if limit is None:
            raise DeviceError(
                f"{flag} {value} needs {amount(least)} of memory, but {self.device} has {amount(there)}; "
                f"{lower or 'end other programs'}{more_room}",
                flag=flag,
                kind=Kind.OUT_OF_RANGE,
            )
        enough = math.ceil((limit - there + least) * SPREAD / 1e7) * 10
        raise DeviceError(
            f"{flag} {value} needs --max-memory {enough}MB, not {self.config.max_memory}; "
            f"{f'raise it, or {lower}' if lower else 'raise it'}{more_room}",
            flag="--max-memory",
            kind=Kind.OUT_OF_RANGE,
        )

    def _is_slow_whole(self, size: ScaleSize) -> bool:
        """Tell whether tiles are faster than the whole picture: a GPU is slow with maps of so many values."""
        if self.device.type != "cuda" or self.network is None:
            return False
        margin = 2 * self.network.margin
        widest: float = max(block.widest / 4**i for i, block in enumerate(self.network.blocks))
        return (size.height + margin) * (size.width + margin) * widest >= GPU_VALUES


def amount(size: float) -> str:
    """Return a number of bytes in words: "3.2 GB", "750 MB"."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
