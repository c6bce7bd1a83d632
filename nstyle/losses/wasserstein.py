"""Style loss on Gaussians: the Wasserstein-2 distance between the distributions of feature vectors."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from nstyle.losses.functional import gram_matrix, sum_over_positions
from nstyle.losses.parts import Part
from nstyle.losses.terms import AtLayer, Statistic, guidance_of_part, guidance_of_style, share_of
from nstyle.numerics import sum_of_squares

SMOOTHING = 1e-2
"""d in `WassersteinTerm`, as a share of the style's mean variance. It keeps a square root's slope finite at 0."""

LEAST_VARIANCE = 1e-7
"""Share of the style's largest variance plus its squared mean. Along directions with less variance, the style counts
as constant: in a second moment, float32 cannot tell less from 0."""


@dataclass(frozen=True)
class WassersteinTerm(AtLayer):
    """weight * M / C * W2^2 between two Gaussians: that of the painting's and that of the style's feature vectors.

    The painting's map has M positions and C channels. With means m, m' and covariances V, V' (Olkin and Pukelsheim,
    "The distance between two random vectors with given dispersion matrices", 1982):

        W2^2 = |m - m'|^2 + tr(V) + tr(V') - 2 tr((S^T V S)^(1/2)),   V' = S S^T.

    Unlike a Gram matrix, this distinguishes contrast from brightness. K. Crowson's style-transfer-pytorch uses it.
    The square root of an eigenvalue e of S^T V S is replaced by e / (e + d^2)^(1/2) with a small d. So the gradient
    is finite even if the painting does not vary, and the loss is never below 0. Mean and second moment are sums over
    positions, so they add up over the parts of a picture.

    Attributes:
        layer: the layer whose maps are compared.
        mean: m', of shape C.
        root: S, C x R; R is the number of directions in which the style varies, possibly 0.
        weight: factor on the loss.
        is_relative: whether to divide by |m'|^2 + tr(V'), the distance of an image without features, instead of
            C / M.
        region: 1 x 1 x H x W, 0..1, of the image's size; None means everywhere. Positions count by it
            (`functional.guidance_at`), and its share of the image multiplies the loss.

    """

    mean: Tensor
    root: Tensor
    weight: float
    is_relative: bool = False
    region: Tensor | None = None
    is_local: ClassVar[bool] = False

    @classmethod
    def towards(
        cls, layer: str, style_map: Tensor, weight: float, mask: Tensor | None = None, region: Tensor | None = None
    ) -> "WassersteinTerm":
        """Make the term from a style's feature map.

        Args:
            layer: the layer of the map.
            style_map: 1 x C x h' x w'.
            weight: factor on the loss.
            mask: 1 x 1 x H' x W', 0..1, of the style picture's size: which part of it counts; None means all.
            region: see the class.

        """
        height, width = style_map.shape[-2:]
        guidance, weight = guidance_of_style((height, width), mask, weight)
        return cls.reaching(layer, cls.sums(style_map, guidance), height * width, weight, region)

    @staticmethod
    def sums(feature_map: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Return the sums of the feature vectors and of their products; see `moment_sums`."""
        return moment_sums(feature_map, guidance)

    @classmethod
    def reaching(
        cls, layer: str, sums: Tensor, positions: int, weight: float, region: Tensor | None = None
    ) -> "WassersteinTerm":
        """Make the term from the style's `sums` and the number of positions that they were summed over."""
        mean, covariance = mean_and_covariance(sums.cpu().double(), positions)
        root = _root(covariance, mean)
        return cls(layer, mean.to(sums), root.to(sums), weight, region=region)

    @property
    def bytes_held(self) -> int:
        """Memory of the target, in bytes."""
        return self.root.nbytes + self.mean.nbytes

    def placed(self, weight: float, region: Tensor | None) -> "WassersteinTerm":
        """Return a copy with its weight multiplied by `weight` and limited to a region of the image."""
        return replace(self, weight=self.weight * weight, region=region)

    def relative(self) -> "WassersteinTerm":
        """Return a copy whose loss is relative to that of an image without features."""
        return replace(self, is_relative=True)

    def statistic(self, part: Part) -> Statistic:
        """Return the sums of the part's feature vectors and of their products, and the number of positions."""
        feature_map = part.owned(self.layer)
        guidance, share = guidance_of_part(part, self.layer, self.region)
        return Statistic(self.sums(feature_map, guidance), feature_map.shape[-2:].numel(), share)

    def loss(self, statistic: Statistic) -> Tensor:
        """Return the weighted loss."""
        mean, covariance = mean_and_covariance(statistic.sums, statistic.positions)
        style_variance = sum_of_squares(self.root)
        smoothing = SMOOTHING * style_variance / len(self.mean)
        common: Tensor = _TraceOfRoot.apply(covariance, self.root, smoothing)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        distance = sum_of_squares(mean - self.mean) + covariance.trace() + style_variance - 2 * common
        if self.is_relative:
            distance = share_of(distance, sum_of_squares(self.mean) + style_variance)
        else:
            distance = distance * (statistic.positions / len(self.mean))
        weight: Tensor | float = self.weight if statistic.share is None else self.weight * statistic.share
        return weight * distance


def moment_sums(feature_map: Tensor, guidance: Tensor | None = None) -> Tensor:
    """Return the sums of f f^T and of f over the positions, where f is a position's feature vector.

    Args:
        feature_map: 1 x C x H x W.
        guidance: 1 x 1 x H x W: each position counts by its square; None means that all count alike.

    Returns:
        C x (C + 1) in at least float32: the sum of f f^T, and the sum of f as the last column.

    """
    sums = sum_over_positions(feature_map, None if guidance is None else guidance.square())
    return torch.cat([gram_matrix(feature_map, guidance), sums[:, None]], dim=1)


def mean_and_covariance(sums: Tensor, positions: int) -> tuple[Tensor, Tensor]:
    """Return the mean (C) and covariance (C x C) of `positions` feature vectors from their `moment_sums`."""
    moments = sums / positions
    mean: Tensor = moments[:, -1]
    return mean, moments[:, :-1] - torch.outer(mean, mean)


def _root(covariance: Tensor, mean: Tensor) -> Tensor:
    """Return S (C x R) with S S^T = covariance, less directions of almost no variance; NaN if it is not finite."""
    if not torch.isfinite(covariance).all():  # then the loss is NaN, and the descent reports divergence
        return covariance * torch.nan
    variances, directions = torch.linalg.eigh(covariance)
    kept = variances > LEAST_VARIANCE * (variances[-1] + sum_of_squares(mean))
    root: Tensor = directions[:, kept] * variances[kept].sqrt()
    return root


def _eigh(symmetric: Tensor) -> tuple[Tensor, Tensor]:
    """Return eigenvalues and eigenvectors. The CPU computes them for Apple's GPUs, which cannot."""
    values, vectors = torch.linalg.eigh(symmetric.cpu() if symmetric.device.type == "mps" else symmetric)
    return values.to(symmetric), vectors.to(symmetric)


class _TraceOfRoot(torch.autograd.Function):
    """tr((S^T V S)^(1/2)) of a covariance V, with the root smoothed near 0 so that its gradient stays finite.

    With S^T V S = U diag(e) U^T, this is the sum of e / (e + d^2)^(1/2). Its gradient with respect to V is
    S U diag(g) U^T S^T with g = (e / 2 + d^2) / (e + d^2)^(3/2). So one eigendecomposition serves both.
    """

    @staticmethod
    def forward(ctx: Any, covariance: Tensor, root: Tensor, smoothing: Tensor) -> Tensor:
        seen = root.T @ covariance @ root
        if not torch.isfinite(seen).all():  # the picture diverged: the descent reports it
            ctx.save_for_backward(covariance * torch.nan)
            return covariance.new_tensor(torch.nan)
        variances, directions = _eigh((seen + seen.T) / 2)
        variances = variances.clamp_min(0)
        smoothed = (variances + smoothing.square()).clamp_min(torch.finfo(variances.dtype).tiny).sqrt()
        roots: Tensor = variances / smoothed
        slopes = (1 - roots / smoothed / 2) / smoothed
        turned = root @ directions
        ctx.save_for_backward((turned * slopes) @ turned.T)
        return roots.sum()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        by_covariance: Tensor = ctx.saved_tensors[0]
        return gradient * by_covariance, None, None
