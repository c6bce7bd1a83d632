"""Folders of films made without painting, file by file as `film.json` and `frames.csv` are described."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pictures import painted
from recipes import recipe

from nstyle.files import sha256
from nstyle.settings.config import Config
from nstyle.storage.layout import FILM, FRAMES, painted_frame_name, source_frame_name

HEADER = "frame,shot,pass,epochs,loss,content_loss,style_loss,temporal_error,seconds\n"

SHOTS = ((1, 5), (6, 12))


def fake_film(
    folder: Path,
    *,
    painted_frames: Iterable[int] = range(1, 13),
    stop_reason: str = "finished",
    size: tuple[int, int] = (32, 48),
    shots: Sequence[tuple[int, int]] = SHOTS,
    frame_rate: float = 10,
    **settings: Any,
) -> Path:
    """Make the folder of a film with these frames painted, in this order. Its style lies beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    style = folder.parent / "waves.png"
    painted(40, 40, seed=2).save(style)
    inputs = {"style_image": {"path": str(style.resolve()), "sha256": sha256(style)}}
    config = Config(style_image=style, output_dir=folder, **settings)
    source = folder.parent / "clip.mp4"
    film = {
        "source": str(source.resolve()),
        "file": source.name,
        "frames": shots[-1][1],
        "frame_rate": frame_rate,
        "size": list(size),
        "shots": [list(shot) for shot in shots],
    }
    facts = recipe(config, inputs=inputs, size=size[::-1]).facts()
    record = {"kind": "film", "film": film, "stop_reason": stop_reason, "recipe": facts}
    (folder / FILM).write_text(json.dumps(record))
    (folder / FRAMES).write_text(HEADER)
    for frame in painted_frames:
        add_frame(folder, frame)
    return folder


def add_frame(folder: Path, frame: int, *, number_of_pass: int = 1, seed: int | None = None) -> None:
    """Add a painted frame, its source and its line. Without a seed, the number of the frame is the seed."""
    film = json.loads((folder / FILM).read_text())["film"]
    height, width = film["size"]
    shot, first = next(
        (number, first) for number, (first, last) in enumerate(film["shots"], 1) if first <= frame <= last
    )
    for name, number in (
        (painted_frame_name(frame), frame if seed is None else seed),
        (source_frame_name(frame), 99),
    ):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        painted(height, width, seed=number).save(path)
    error = "" if frame == first else f"{0.001 * frame:g}"
    with (folder / FRAMES).open("a") as file:
        file.write(f"{frame},{shot},{number_of_pass},20,{100 / frame:g},{40 / frame:g},{60 / frame:g},{error},1.5\n")


def change_film(folder: Path, **changes: Any) -> None:
    """Change entries of `film.json`, or of its "film", to values that no film has."""
    record = json.loads((folder / FILM).read_text())
    for name, value in changes.items():
        (record["film"] if name in record["film"] else record)[name] = value
    (folder / FILM).write_text(json.dumps(record))
