"""Files of tensors with facts: checkpoints, and states of trainings and of shots, have one reader."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nstyle.errors import RecipeError
from nstyle.film.sequence import ShotState
from nstyle.film.shot_file import read_shot, write_shot
from nstyle.painter.state import read_state
from nstyle.storage.archive import READING_ERRORS, read_archive, write_archive
from nstyle.storage.checkpoint import read_checkpoint

CPU = torch.device("cpu")
READERS: list[Callable[[Path], object]] = [
    lambda path: read_checkpoint(path, CPU),
    lambda path: read_state(path, CPU),
    read_shot,
]


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    path, tensors = tmp_path / "state.npz", {"image": torch.rand(1, 3, 4, 5), "step": torch.tensor(3.0)}
    write_archive(path, {"done": 3}, tensors)
    about, found = read_archive(path)
    assert about == {"done": 3}
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)


@pytest.mark.parametrize("name", ["about", "file"])
def test_a_tensor_does_not_replace_the_facts(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=name):
        write_archive(tmp_path / "state.npz", {"done": 3}, {name: torch.zeros(3)})
    assert not (tmp_path / "state.npz").exists()


def _compressed(path: Path) -> None:
    np.savez_compressed(path, about="{}", image=np.zeros((1, 3, 2000, 2000), np.float32))


def _pickled(path: Path) -> None:
    np.savez(path, about="{}", image=np.array([{"an": "object"}], dtype=object))


def _without_facts(path: Path) -> None:
    np.savez(path, image=np.zeros(3))


def _cut_off(path: Path) -> None:
    write_archive(path, {}, {"image": torch.zeros(1, 3, 40, 50)})
    path.write_bytes(path.read_bytes()[:-200])


@pytest.mark.parametrize("damage", [_compressed, _pickled, _without_facts, _cut_off, lambda path: None])
def test_a_strangers_or_damaged_file_is_refused(damage: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    damage(path)
    with pytest.raises(READING_ERRORS):
        read_archive(path)
    for read in READERS:
        with pytest.raises(RecipeError):
            read(path)


def test_the_state_of_a_shot_may_show_a_mirrored_frame(tmp_path: Path) -> None:
    shown: Any = np.arange(24, dtype=np.float32).reshape(2, 4, 3)[:, ::-1]
    write_shot(tmp_path / "1.npz", ShotState(2, (torch.zeros(1, 3, 2, 4),), shown), {})
    state, _ = read_shot(tmp_path / "1.npz")
    assert state.shown is not None
    assert np.array_equal(state.shown, shown)
