"""L-BFGS with an initial inverse Hessian that is diagonal in spatial frequency and color."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from nstyle.numerics import euclidean_norm, inner_product, root_mean_square, strips
from nstyle.optim.catalog import HISTORY

FIRST_RMS = 4.0
"""Root mean square of the first step at learning rate 1, in grey levels: no curvature is known yet to scale it."""

LARGEST_RMS = 16.0
"""Limit on the root mean square of a step, in grey levels, at any learning rate."""

LEAST_RMS = 1e-30
"""Lower limit of a divisor, so that a zero gradient gives a zero step, not NaN."""

FLAT_BELOW = 0.02
"""Frequency in cycles per pixel below which L-BFGS treats all waves nearly alike."""

BANDS = 12
"""Number of frequency bands in which L-BFGS compares steps with the changes of the gradient along them."""

RECENT = 5
"""Number of last steps that it compares."""

COLOR_AXES = ((1, 1, 1), (1, 0, -1), (1, -2, 1))
"""Light to dark, red to blue, magenta to green: orthogonal; `Spectrum` scales them to length 1."""

LEAST_CURVATURE = 1e-6
"""Cosine between a step and the change of the gradient along it. L-BFGS ignores steps with less."""


class LBFGS:
    """Limited-memory BFGS without line search (Nocedal and Wright, Numerical Optimization, 2006, algorithm 7.4).

    It differs from `torch.optim.LBFGS(max_iter=1)` in the length of the first step, in a limit on the length of
    every step, and in the initial inverse Hessian H0 of each direction. PyTorch's H0 is a multiple of the identity.
    Here each frequency and color axis has its own factor: the ratio of the amplitudes of recent steps to those of the
    gradient's changes (`Spectrum`).

    Loss of the sample pair after 40 epochs, from the content at 192 pixels: 4.9e11 with a multiple of the identity,
    3.4e11 with factors of 1 / frequency. Learning the factors saves up to another fifth of the epochs, depending on
    the style. Without the limit, some steps from noise were hundreds of grey levels too long: at 160 pixels, the loss
    after 30 epochs was 4.5e11 without the limit and 3.3e11 with it.

    Args:
        history: number of steps that it remembers, at least 1; each takes the memory of two images.

    Raises:
        ValueError: `history` is less than 1.

    """

    def __init__(self, history: int = HISTORY) -> None:
        if history < 1:
            raise ValueError(f"L-BFGS must remember at least 1 step, not {history}")
        self.history = history
        self.last: tuple[Tensor, Tensor] | None = None  # last image and gradient
        self.pairs: list[tuple[Tensor, Tensor]] = []  # steps, and the change of the gradient along each
        self.spectrum: Spectrum | None = None
        self.ratios: list[Tensor] = []  # `Spectrum.compare` of the last pairs

    def __call__(self, image: Tensor, gradient: Tensor, learning_rate: float) -> Tensor:
        """Return the new image, as a new tensor."""
        gradient = gradient.contiguous()  # the memory layout affects rounding, and checkpoints do not keep it
        if self.last is not None:
            self._learn(image - self.last[0], gradient - self.last[1])
        self.last = image, gradient
        update = self._direction(gradient).mul_(learning_rate)
        update *= (LARGEST_RMS / root_mean_square(update)).clamp_max(1)
        return torch.sub(image, update, out=update)

    def _learn(self, step: Tensor, change: Tensor) -> None:
        """Remember a pair, unless the gradient hardly grows along the step."""
        lengths = euclidean_norm(step) * euclidean_norm(change)
        if not inner_product(step, change) > LEAST_CURVATURE * lengths > 0:
            return
        self.pairs = [*self.pairs, (step, change)][-self.history :]
        # Of the pairs in its memory only: a resumed descent knows no others.
        self.ratios = [*self.ratios, self._spectrum_of(step).compare(step, change)][-min(RECENT, self.history) :]

    def _spectrum_of(self, image: Tensor) -> "Spectrum":
        if self.spectrum is None:
            self.spectrum = Spectrum(image)
        return self.spectrum

    def _direction(self, gradient: Tensor) -> Tensor:
        """Return the approximate inverse Hessian times the gradient, as a new tensor."""
        spectrum = self._spectrum_of(gradient)
        factors = spectrum.factors(self.ratios)
        if not self.pairs:
            direction = spectrum.scale(gradient, factors)
            return direction.mul_(FIRST_RMS / root_mean_square(direction).clamp_min(LEAST_RMS))
        direction = gradient.clone()
        along = []
        for step, change in reversed(self.pairs):
            curvature = inner_product(step, change)
            part = inner_product(step, direction) / curvature
            _add(direction, -part, change)
            along.append((part, curvature))
        step, change = self.pairs[-1]
        length = inner_product(step, change) / inner_product(change, spectrum.scale(change, factors))
        direction = spectrum.scale(direction, factors).mul_(length)
        for (step, change), (part, curvature) in zip(self.pairs, reversed(along), strict=True):
            _add(direction, part - inner_product(change, direction) / curvature, step)
        return direction

    def memory(self) -> dict[str, Tensor]:
        """Return the last image and gradient, and the steps with their changes of the gradient."""
        if self.last is None:
            return {}
        memory = dict(zip(("image", "gradient"), self.last, strict=True))
        for i, (step, change) in enumerate(self.pairs):
            memory |= {f"step_{i}": step, f"change_{i}": change}
        return memory

    def remember(self, memory: Mapping[str, Tensor]) -> None:
        """Replace them; without them, L-BFGS starts anew.

        There may be pairs without an image, those of a descent on a similar image: see `last_pairs`.
        """
        self.last, self.pairs, self.ratios = None, [], []
        if "image" in memory:
            self.last = memory["image"], memory["gradient"]
        for i in range(_number_of_pairs(memory)):
            self._learn(memory[f"step_{i}"], memory[f"change_{i}"])


def last_pairs(memory: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the last pairs, at most RECENT, of a descent's memory; none if the memory is another rule's.

    They are a memory that makes a descent on a similar image converge sooner: it begins with the curvature of the
    objective, instead of a step of `FIRST_RMS` in which it looks for it.
    """
    number = _number_of_pairs(memory)
    first = max(number - RECENT, 0)
    return {f"{name}_{i - first}": memory[f"{name}_{i}"] for i in range(first, number) for name in ("step", "change")}


def _add(image: Tensor, factor: Tensor, other: Tensor) -> None:
    """Add a multiple of another image to an image, in place."""
    for strip in strips(image):
        image[strip] += factor * other[strip]


def _number_of_pairs(memory: Mapping[str, Tensor]) -> int:
    return sum(name.startswith("step_") for name in memory)


class Spectrum:
    """Waves in images of one size (1 x 3 x H x W): a spatial spectrum along each of three color axes.

    These waves are an orthonormal basis, and every factor here is diagonal in it.
    """

    def __init__(self, image: Tensor) -> None:
        self.size = image.shape[-2:]
        axes = image.new_tensor(COLOR_AXES)
        self.axes = axes / axes.square().sum(dim=1, keepdim=True).sqrt()
        vertical = torch.fft.fftfreq(self.size[0], device=image.device)[:, None]
        horizontal = torch.fft.rfftfreq(self.size[1], device=image.device)
        self.logs: Tensor = (vertical.square() + horizontal.square() + FLAT_BELOW**2).log().flatten() / 2
        number = (BANDS * (self.logs - self.logs.min()) / (self.logs.max() - self.logs.min()).clamp_min(1e-6)).long()
        bands = [torch.nonzero(number.clamp_max(BANDS - 1) == band).flatten() for band in range(BANDS)]
        self.bands = [band for band in bands if band.numel() > 0]
        self.centres = torch.stack([self.logs[band].mean() for band in self.bands])

    def compare(self, step: Tensor, change: Tensor) -> Tensor:
        """Return log(amplitude of step / amplitude of change) for each color axis and band: 3 x bands."""
        of_step, of_change = self._powers(step), self._powers(change)
        least = torch.finfo(of_step.dtype).tiny
        return (of_step.clamp_min(least).log() - of_change.clamp_min(least).log()) / 2

    def _powers(self, image: Tensor) -> Tensor:
        powers = torch.stack([_power(torch.fft.rfft2(plane)) for plane in self._planes(image)])
        return torch.stack([powers[:, band].sum(dim=-1) for band in self.bands], dim=-1)

    def factors(self, ratios: Sequence[Tensor]) -> Tensor:
        """Return a factor for each wave: the geometric mean of the ratios, interpolated between the bands.

        Without ratios, it is 1/f, the amplitude spectrum of natural images. Shape 3 x number of waves.
        """
        if not ratios:
            return (-self.logs).exp().expand(3, -1)
        mean = torch.stack(list(ratios)).mean(dim=0)
        if len(self.bands) == 1:
            return mean.exp().expand(-1, self.logs.numel())
        above = torch.searchsorted(self.centres, self.logs).clamp(1, len(self.bands) - 1)
        low, high = self.centres[above - 1], self.centres[above]
        part = ((self.logs - low) / (high - low)).clamp(0, 1)
        return torch.stack([(one[above - 1] * (1 - part) + one[above] * part).exp() for one in mean])

    def scale(self, image: Tensor, factors: Tensor) -> Tensor:
        """Return the image with its waves multiplied by `factors`, as a new tensor."""
        planes = self._planes(image)
        for plane, factor in zip(planes, factors, strict=True):
            waves = torch.fft.rfft2(plane)
            waves *= factor.reshape(waves.shape)
            plane.copy_(torch.fft.irfft2(waves, s=self.size))
        scaled: Tensor = torch.einsum("ac,ahw->chw", self.axes, planes)[None]
        return scaled

    def _planes(self, image: Tensor) -> Tensor:
        """Return the image along each color axis, 3 x H x W, as a new tensor."""
        planes: Tensor = torch.einsum("ac,chw->ahw", self.axes, image[0])
        return planes


def _power(waves: Tensor) -> Tensor:
    """Return the squares of the waves' amplitudes, in one row."""
    power: Tensor = torch.view_as_real(waves).square().sum(dim=-1).flatten()
    return power
