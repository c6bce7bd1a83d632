"""The notebook runs unchanged, except for smaller sizes."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
AS_WRITTEN, SMALL = 'preset="fast", max_long_edge=256', 'preset="fast", max_long_edge=48, max_num_epochs=7'


class Shown:
    """The display handle that Jupyter's `display` returns."""

    def __init__(self, picture: Image.Image) -> None:
        self.pictures = [picture]

    def update(self, picture: Image.Image) -> None:
        self.pictures.append(picture)


def test_the_notebook_shows_the_picture_as_it_is_painted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "input").symlink_to(ROOT / "input")
    monkeypatch.chdir(tmp_path / "docs")
    cells = json.loads((ROOT / "docs" / "live.ipynb").read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    assert AS_WRITTEN in code
    names: dict[str, Any] = {"display": lambda picture, display_id: Shown(picture)}
    exec(code.replace(AS_WRITTEN, SMALL), names)  # noqa: S102  # our own
    size = names["result"].rgb.shape[1], names["result"].rgb.shape[0]
    shown = names["shown"].pictures[1:]
    assert [picture.size for picture in shown] == [size] * 3  # epochs 0 and 5, and the end
    assert len({picture.tobytes() for picture in shown}) == 3
    assert len(names["losses"]) == 7
    assert (names["again"].rgb == names["result"].rgb).all()
