"""Distances of a painting from its style and its content, in VGG-19's feature maps.

All distances are relative: 0 for identical pictures, about 1 for pictures with nothing in common.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from eye.measures import Bytes
from nstyle.networks.features import Features
from nstyle.networks.layers import CONTENT_LAYER, STYLE_LAYERS
from nstyle.networks.model_space import to_model_space
from nstyle.pictures.picture import Picture, Rgb
from nstyle.pictures.style_fit import frame_style


class Distances(NamedTuple):
    """Distances of a painting from its style (gram, gaussian) and its content.

    Attributes:
        gram: distance of the Gram matrices at each style layer: |G - A| / |A|, with Frobenius norms.
        gaussian: distance of the Gaussians of the features at each style layer, see `gaussian_distance`.
        content: |F - P|^2 / |P|^2 at relu4_2.

    """

    gram: Mapping[str, float]
    gaussian: Mapping[str, float]
    content: float


@dataclass(frozen=True)
class Moments:
    """Mean (C) and second moment (C x C) of the feature vectors of a feature map, float64.

    The second moment is the Gram matrix divided by the number of positions.
    """

    mean: Tensor
    second: Tensor

    @classmethod
    def of(cls, feature_map: Tensor) -> Self:
        """Compute the moments of a 1 x C x h x w feature map."""
        vectors = feature_map[0].flatten(1).double()
        return cls(vectors.mean(1), vectors @ vectors.T / vectors.shape[1])

    @property
    def covariance(self) -> Tensor:
        """Covariance of the feature vectors, C x C."""
        return self.second - torch.outer(self.mean, self.mean)


def gram_distance(painting: Moments, style: Moments) -> float:
    """Return |G - A| / |A|, the relative distance of the Gram matrices per position, with Frobenius norms."""
    return float((painting.second - style.second).norm() / style.second.norm())


def gaussian_distance(painting: Moments, style: Moments) -> float:
    """Return the squared Wasserstein-2 distance of two Gaussians, divided by the style's mean square.

    (|m1 - m2|^2 + tr(C1 + C2 - 2 (C2^1/2 C1 C2^1/2)^1/2)) / (|m2|^2 + tr C2), after Dowson and Landau (1982). It is 1
    if the painting has no features.
    """
    root = _root(style.covariance)
    values = torch.linalg.eigvalsh(root @ painting.covariance @ root).clamp(min=0)
    apart = (painting.mean - style.mean).square().sum()
    spread = painting.covariance.trace() + style.covariance.trace() - 2 * values.sqrt().sum()
    return float(((apart + spread) / style.second.trace()).clamp(min=0))


def _root(matrix: Tensor) -> Tensor:
    """Return the symmetric square root of a positive semidefinite matrix."""
    values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    return root


def _levels(picture: Bytes) -> Rgb:
    return picture.astype(np.float32) / np.float32(255)


@dataclass(frozen=True)
class Target:
    """Features of a pair that its paintings, all of one size, are compared with."""

    network: Features
    style: Mapping[str, Moments]
    content: Tensor

    @classmethod
    def of(cls, network: Features, content: Bytes, style: Bytes) -> Self:
        """Compute the features of a content and a style picture.

        Args:
            network: VGG-19.
            content: content picture in the size of the paintings.
            style: style picture of any size. It is scaled to fit into the size of the paintings; its aspect ratio
                stays.

        """
        levels = Picture(_levels(style))
        fitted = frame_style(levels.size, content.shape[:2], "contain", 1.0).picture(levels)
        with torch.no_grad():
            maps = network(to_model_space(fitted.rgb), STYLE_LAYERS)
            moments = {name: Moments.of(maps[name]) for name in STYLE_LAYERS}
            target = network(to_model_space(_levels(content)), (CONTENT_LAYER,))[CONTENT_LAYER]
        return cls(network, moments, target)

    def distances(self, painting: Bytes) -> Distances:
        """Return the distances of a painting, which has the size of the content."""
        with torch.no_grad():
            maps = self.network(to_model_space(_levels(painting)), (*STYLE_LAYERS, CONTENT_LAYER))
            moments = {name: Moments.of(maps[name]) for name in STYLE_LAYERS}
            content = (maps[CONTENT_LAYER] - self.content).square().sum() / self.content.square().sum()
        return Distances(
            {name: gram_distance(moments[name], self.style[name]) for name in STYLE_LAYERS},
            {name: gaussian_distance(moments[name], self.style[name]) for name in STYLE_LAYERS},
            float(content),
        )
