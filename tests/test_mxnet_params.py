"""MXNet's parameter files, in all versions of the format, as written by the real MXNet."""

import contextlib
import struct
from pathlib import Path

import numpy as np
import pytest
from refusals import refuses

from nstyle.errors import Kind, WeightsError
from nstyle.networks.mxnet_params import read_params

VERSIONS = ("legacy_v0", "v1", "v2")


@pytest.mark.parametrize("version", VERSIONS)
def test_each_version_holds_what_mxnet_read_back(version: str, golden: Path) -> None:
    arrays = read_params(golden / "params" / f"{version}.params")
    expected = np.load(golden / "params" / "expected.npz")
    assert set(arrays) == {name.replace("arg__", "arg:") for name in expected}
    for name in expected:
        array = arrays[name.replace("arg__", "arg:")]
        assert array.dtype == expected[name].dtype
        np.testing.assert_array_equal(array, expected[name])


@pytest.mark.parametrize("version", VERSIONS)
def test_a_file_cut_off_anywhere_is_an_error(version: str, golden: Path, tmp_path: Path) -> None:
    content = (golden / "params" / f"{version}.params").read_bytes()
    path = tmp_path / "cut.params"
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with refuses(WeightsError, kind=Kind.DAMAGED, path=path, flag="--weights"):
            read_params(path)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_changed_byte_is_an_error_or_another_value(version: str, golden: Path, tmp_path: Path) -> None:
    content = (golden / "params" / f"{version}.params").read_bytes()
    path = tmp_path / "changed.params"
    for position in range(len(content)):
        for value in (0x00, 0x7F, 0xFF):
            path.write_bytes(content[:position] + bytes([value]) + content[position + 1 :])
            with contextlib.suppress(WeightsError):
                assert sum(array.nbytes for array in read_params(path).values()) <= len(content)


def test_a_dimension_of_nothing_is_refused(golden: Path, tmp_path: Path) -> None:
    content = bytearray((golden / "params" / "v1.params").read_bytes())
    assert content[28:64] == struct.pack("<I4q", 4, 4, 3, 3, 3)  # the first array's shape
    content[28:64] = struct.pack("<I4q", 4, 0, 2**62, 2**62, 3)
    path = tmp_path / "nothing.params"
    path.write_bytes(content)
    with refuses(WeightsError, kind=Kind.DAMAGED, path=path, flag="--weights"):
        read_params(path)


def test_sparse_arrays_are_refused(golden: Path, tmp_path: Path) -> None:
    content = bytearray((golden / "params" / "v2.params").read_bytes())
    assert content[28:32] == bytes(4)  # the first array's storage type: dense
    content[28] = 1
    path = tmp_path / "sparse.params"
    path.write_bytes(content)
    with refuses(WeightsError, kind=Kind.UNSUPPORTED, path=path, flag="--weights"):
        read_params(path)
