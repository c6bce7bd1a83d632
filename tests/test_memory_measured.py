"""Paintings take the memory that the plan says: peaks of whole processes."""

import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from nstyle.painting.memory import SPREAD

_MEASURE = """
import json, sys
import torch
from nstyle.losses.tiles import Tiling
from nstyle.painting import memory, stylize
from nstyle.painting.session import Session
from nstyle.settings.config import Config
torch.set_num_threads(1)
memory.TILINGS = (Tiling(values=2**22, offloads=True),)
said, prepared_for = [], stylize.prepared_for

def noted(*arguments):
    said.append(prepared_for(*arguments))
    return said[0]

def peak():  # not that of `resource`, which begins with the peak of the process that started this one
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))

stylize.prepared_for = noted
stylize.run(Config(**json.loads(sys.argv[1])), session=Session(owns_process=True))
print(peak(), said[0].process_memory)
"""

EDGE = 384
SLACK = 180_000_000  # the plan reserves 100 MB for a tile of this size, and 80 MB for libraries


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the plan is for glibc's malloc")
@pytest.mark.parametrize(
    ("optimizer", "init", "colors"),
    [
        ("nag", "noise", "none"),
        ("nag", "style", "luma"),
        ("adam", "style", "none"),
        ("adam", "noise", "luma"),
        ("lbfgs", "content", "none"),
    ],
)
def test_the_smallest_tiles_take_what_is_said(optimizer: str, init: str, colors: str, tmp_path: Path) -> None:
    """With one snapshot, of the last epoch."""
    photo, style = tmp_path / "photo.png", tmp_path / "style.png"
    Image.effect_noise((EDGE // 8, EDGE // 8), 60).resize((EDGE, EDGE)).convert("RGB").save(photo)
    Image.effect_noise((64, 64), 90).convert("RGB").save(style)
    settings = {
        "content_image": str(photo),
        "style_image": str(style),
        "output_dir": str(tmp_path / "out"),
        "model": "filters",
        "optimizer": optimizer,
        "init": init,
        "preserve_colors": colors,
        "max_long_edge": EDGE,
        "max_num_epochs": 2,
        "save_epochs": 2,
        "stop_eps": 0,
        "max_memory": "8GB",
    }
    command = [sys.executable, "-c", _MEASURE, json.dumps(settings)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    measured, said = map(int, done.stdout.split())
    assert (tmp_path / "out" / "e_2.jpg").exists()
    assert measured <= said * SPREAD
    assert said <= measured + SLACK
