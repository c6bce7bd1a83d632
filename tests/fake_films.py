"""Folders of films made without painting. The program's own writers write the records."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pictures import painted
from recipes import recipe

from nstyle.files import sha256
from nstyle.film.folder import FilmFolder, FrameRow
from nstyle.settings.config import Config
from nstyle.settings.film import FilmSettings
from nstyle.storage.layout import FILM_RECORD, StopReason

HEADER = ",".join(FrameRow.columns()) + "\n"

SHOTS = ((1, 5), (6, 12))


def fake_film(
    folder: Path,
    *,
    painted_frames: Iterable[int] = range(1, 13),
    stop_reason: str = "epochs",
    size: tuple[int, int] = (32, 48),
    shots: Sequence[tuple[int, int]] = SHOTS,
    frame_rate: float = 10,
    passes: int = 1,
    **settings: Any,
) -> Path:
    """Make the folder of a film with these frames painted, in this order. Its style and source lie beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    style, source = folder.parent / "waves.png", folder.parent / "clip.mp4"
    painted(40, 40, seed=2).save(style)
    source.write_bytes(b"a video")
    inputs = {
        name: {"path": str(path.resolve()), "sha256": sha256(path)}
        for name, path in (("content_image", source), ("style_image", style))
    }
    config = Config(content_image=source, style_image=style, output_dir=folder, **settings)
    facts = {
        "source": str(source.resolve()),
        "size": list(size),
        "file": "clip.mp4",
        "files": ["clip.mp4"],
        "replaces": None,
        "extent": shots[-1][1],
        "identity": "c0ffee",
        "frames": shots[-1][1],
        "frame_rate": frame_rate,
        "shots": [list(shot) for shot in shots],
        "settings": FilmSettings(film=source, passes=passes).recorded(),
    }
    files = FilmFolder(folder, "clip.mp4", [])
    files.begin()
    files.write_record(recipe(config, inputs=inputs, size=size[::-1]), facts, StopReason.RUNNING)
    files.write_log([])
    for frame in painted_frames:
        add_frame(folder, frame)
    if stop_reason == StopReason.EPOCHS:
        files.film.write_bytes(b"a painted video")
    change_film(folder, stop_reason=stop_reason)
    return folder


def add_frame(folder: Path, frame: int, *, number_of_pass: int = 1, seed: int | None = None) -> None:
    """Add a painted frame, its source and its line. Without a seed, the number of the frame is the seed."""
    film = json.loads((folder / FILM_RECORD).read_text())["film"]
    shot, first = next(
        (number, first) for number, (first, last) in enumerate(film["shots"], 1) if first <= frame <= last
    )
    files, (height, width) = FilmFolder(folder, film["file"], []), film["size"]
    painted(height, width, seed=frame if seed is None else seed).save(files.frame(frame))
    painted(height, width, seed=99).save(files.source_frame(frame))
    row = FrameRow(
        frame=frame,
        shot=shot,
        pass_=number_of_pass,
        epochs=20,
        loss=round(100 / frame, 4),
        content_loss=round(40 / frame, 4),
        style_loss=round(60 / frame, 4),
        temporal_error=None if frame == first else frame / 1000,
        seconds=1.5,
    )
    files.add_to_log(row)


def change_film(folder: Path, **changes: Any) -> None:
    """Change entries of `film.json`, or of its "film", to values that no film has."""
    path = folder / FILM_RECORD
    record = json.loads(path.read_text())
    for name, value in changes.items():
        (record["film"] if name in record["film"] else record)[name] = value
    path.write_text(json.dumps(record))
