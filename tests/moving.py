"""Films whose motion and occlusion are known exactly: moving photos, and a cut-out that moves over a photo."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from skimage import data

from nstyle.film.flow import Flow, Motion
from nstyle.film.reliability import BoolMask
from nstyle.pictures.picture import Rgb

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Layer:
    """A photo that moves.

    Attributes:
        photo: H' x W' x 3.
        places: 3 x 3, by frame: the homogeneous matrix from (x, y) in the frame to (x, y) in the photo.
        radius: 0: all of the plane; else the layer is an ellipse around the photo's middle, of these half axes.

    """

    photo: Rgb
    places: Callable[[int], Floats]
    radius: tuple[float, float] | None = None

    def covers(self, frame: int, x: Floats, y: Floats) -> BoolMask:
        """Whether the layer shows at these places of the frame."""
        if self.radius is None:
            return np.ones(x.shape, dtype=bool)
        u, v = moved(self.places(frame), x, y)
        height, width, _ = self.photo.shape
        across, down = (u - (width - 1) / 2) / self.radius[0], (v - (height - 1) / 2) / self.radius[1]
        return np.asarray(across**2 + down**2 <= 1)

    def shown(self, frame: int, x: Floats, y: Floats) -> Floats:
        u, v = moved(self.places(frame), x, y)
        planes = [map_coordinates(plane, (v, u), order=3, mode="mirror") for plane in np.moveaxis(self.photo, -1, 0)]
        shown: Floats = np.clip(np.stack(planes, axis=-1), 0, 1)
        return shown


@dataclass(frozen=True)
class Moving:
    """A film of `count` frames, with its layers from the front to the back; the last one covers everything."""

    layers: tuple[Layer, ...]
    width: int = 320
    height: int = 240
    count: int = 12

    @cached_property
    def grid(self) -> tuple[Floats, Floats]:
        y, x = np.mgrid[: self.height, : self.width].astype(np.float64)
        return x, y

    def owner(self, frame: int, x: Floats, y: Floats) -> NDArray[np.int_]:
        """The number of the layer that shows at each place."""
        owner: NDArray[np.int_] = np.argmax([layer.covers(frame, x, y) for layer in self.layers], axis=0)
        return owner

    def frame(self, number: int) -> Rgb:
        shown = np.stack([layer.shown(number, *self.grid) for layer in self.layers])
        owner = self.owner(number, *self.grid)
        frame: Rgb = np.take_along_axis(shown, owner[None, ..., None], axis=0)[0].astype(np.float32)
        return frame

    def flow(self, of: int, to: int) -> Flow:
        """Where each pixel of one frame is in another one."""
        x, y = self.grid
        owner, flow = self.owner(of, x, y), np.zeros((self.height, self.width, 2), dtype=np.float32)
        for i, layer in enumerate(self.layers):
            there = moved(np.linalg.inv(layer.places(to)) @ layer.places(of), x, y)
            flow[owner == i] = np.stack([there[0] - x, there[1] - y], axis=-1)[owner == i]
        return flow

    def motion(self, earlier: int, later: int) -> Motion:
        return Motion(self.flow(earlier, later), self.flow(later, earlier))

    def hidden(self, earlier: int, later: int) -> BoolMask:
        """Which pixels of the later frame another layer hides in the earlier one."""
        x, y = self.grid
        back = self.flow(later, earlier).astype(np.float64)
        return np.asarray(self.owner(earlier, x + back[..., 0], y + back[..., 1]) != self.owner(later, x, y))


def moved(matrix: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    u, v, _ = np.tensordot(matrix, np.stack([x, y, np.ones_like(x)]), axes=1)
    return u, v


def photo(name: str) -> Rgb:
    levels: Rgb = getattr(data, name)()[..., :3] / np.float32(255)
    return levels


def shift(x: float, y: float) -> Floats:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], dtype=np.float64)


def around(x: float, y: float, *, scale: float = 1, angle: float = 0) -> Floats:
    """Scale and turn around a point."""
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    matrix: Floats = shift(x, y) @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ shift(-x, -y)
    return matrix


def _middle(film: Moving) -> tuple[float, float]:
    return (film.width - 1) / 2, (film.height - 1) / 2


def pan(x: int = 4, y: int = 1, **size: int) -> Moving:
    """A photo seen through a window that moves by whole pixels each frame."""
    return Moving((Layer(photo("chelsea"), lambda i: shift(x * i, y * i)),), **size)


def zoom(step: float = 1.02, **size: int) -> Moving:
    """A camera that comes closer by a factor each frame."""
    at = _middle(Moving((), **size))
    return Moving((Layer(photo("coffee"), lambda i: shift(100, 60) @ around(*at, scale=step**-i)),), **size)


def turn(degrees: float = 1.5, **size: int) -> Moving:
    """A camera that turns around the middle of the frame."""
    at = _middle(Moving((), **size))
    turned = Layer(photo("astronaut"), lambda i: shift(90, 60) @ around(*at, angle=np.deg2rad(degrees) * i))
    return Moving((turned,), **size)


def cut_out(x: float = 7, y: float = 2, **size: int) -> Moving:
    """A head that moves over a photo, which pans slowly the other way; both by whole pixels if x and y are whole.

    Smaller frames show the same scene.
    """
    small = np.diag([320 / size.get("width", 320), 240 / size.get("height", 240), 1])
    head = Layer(
        photo("astronaut")[20:180, 150:290], lambda i: shift(-30, -30) @ small @ shift(-x * i, -y * i), (60, 70)
    )
    return Moving((head, Layer(photo("coffee"), lambda i: shift(20, 40) @ small @ shift(2 * i, 0))), **size)


def at_rest(**size: int) -> Moving:
    """A photo that does not move."""
    return Moving((Layer(photo("chelsea"), lambda i: shift(50, 20)),), **size)
