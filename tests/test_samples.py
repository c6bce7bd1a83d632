"""The package: its dependencies, and the sample pair, which is in input/ and of which a wheel holds copies."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from itertools import chain
from pathlib import Path

import pytest

from nstyle.settings.config import Config

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ("chelsea.jpg", "vortices.jpg")


def test_the_repository_has_one_copy_of_the_samples() -> None:
    assert [Config.content_image, Config.style_image] == [ROOT / "input" / name for name in SAMPLES]


def test_every_dependency_has_a_tested_release() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    names = {re.split(r"[\[<>=~!]", requirement)[0] for requirement in wanted} - {project["name"]}
    pinned = (ROOT / "constraints.txt").read_text()
    assert names - set(re.findall(r"^([\w-]+)==", pinned, re.MULTILINE)) == set()


def test_a_wheel_holds_the_samples_and_the_defaults_find_them(tmp_path: Path) -> None:
    pytest.importorskip("setuptools")
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("nstyle", "input"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=ignore)
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    line = [sys.executable, "-c", build, str(tmp_path)]
    subprocess.run(line, cwd=source, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    shutil.rmtree(source)
    for name in SAMPLES:
        assert (installed / "nstyle" / "samples" / name).read_bytes() == (ROOT / "input" / name).read_bytes()
    assert (installed / "nstyle" / "py.typed").exists()
    assert (installed / "nstyle" / "view" / "page.html").exists()
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import nstyle; c = nstyle.Config(); print(c.content_image, c.style_image, sep='\\n')",
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == [str(installed / "nstyle" / "samples" / name) for name in SAMPLES]
