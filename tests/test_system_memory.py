"""The limits of control groups, read from files as Linux has them."""

from pathlib import Path

import pytest
import torch

from nstyle import system_memory
from nstyle.devices import free_memory, memory_of
from nstyle.system_memory import memory_limits

MB = 2**20


class Groups:
    """Control groups of one version in a folder."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, version: int) -> None:
        self.root, self.groups = folder / "groups", system_memory._GROUPS[2 - version]
        self.own = folder / "own"
        monkeypatch.setattr(system_memory, "_OWN_GROUPS", self.own)
        groups = [
            system_memory._Groups(
                self.root if one is self.groups else folder / "none",
                one.controllers,
                one.limit,
                one.used,
                one.freeable,
            )
            for one in system_memory._GROUPS
        ]
        monkeypatch.setattr(system_memory, "_GROUPS", groups)

    def put(self, path: str, limit: str, used: int, freeable: int) -> None:
        folder = self.root / path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / self.groups.limit).write_text(limit + "\n")
        (folder / self.groups.used).write_text(f"{used}\n")
        (folder / "memory.stat").write_text(f"cache 5\n{self.groups.freeable} {freeable}\nother 7\n")


@pytest.fixture(params=[1, 2])
def groups(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Groups:
    made = Groups(tmp_path, monkeypatch, request.param)
    name = "5:cpu:/elsewhere\n4:memory,hugetlb" if request.param == 1 else "0:"
    made.own.write_text(f"{name}:/jobs/night/step\n")
    return made


def test_the_limits_of_all_groups_around_the_process_count(groups: Groups, monkeypatch: pytest.MonkeyPatch) -> None:
    groups.put("jobs/night/step", str(900 * MB), 100 * MB, 0)
    groups.put("jobs/night", str(800 * MB), 500 * MB, 200 * MB)
    groups.put("jobs/other", str(10 * MB), 0, 0)
    groups.put("elsewhere", str(10 * MB), 0, 0)
    groups.put("", str(2000 * MB), 700 * MB, 0)
    assert sorted(memory_limits()) == [(800 * MB, 300 * MB), (900 * MB, 100 * MB), (2000 * MB, 700 * MB)]
    monkeypatch.setattr("nstyle.devices.available_memory", lambda: [900 * MB])
    assert memory_of(torch.device("cpu")) == 800 * MB
    assert free_memory(torch.device("cpu")) == 500 * MB


def test_a_container_sees_its_own_group_as_the_outermost(groups: Groups) -> None:
    groups.put("", str(600 * MB), 100 * MB, 50 * MB)
    assert list(memory_limits()) == [(600 * MB, 50 * MB)]


@pytest.mark.parametrize("limit", ["max", str(2**63 - 2**12)])
def test_groups_without_a_limit_and_systems_without_groups_limit_nothing(groups: Groups, limit: str) -> None:
    there = memory_of(torch.device("cpu"))
    groups.put("jobs/night", limit, 100 * MB, 0)
    assert memory_of(torch.device("cpu")) == there
    groups.put("jobs/night", str(MB), 0, 0)
    assert memory_of(torch.device("cpu")) == MB
    groups.own.unlink()
    assert memory_of(torch.device("cpu")) == there
