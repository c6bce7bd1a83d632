"""Films (GIF, MP4) and contact sheets (PNG) of a run's pictures."""

import contextlib
import math
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from nstyle.errors import ImageError, Kind, OutputError
from nstyle.escaping import visible
from nstyle.files import open_regular, replacing
from nstyle.pictures.limits import MOST_BYTES
from nstyle.storage.outputs import SHEET_NOTE
from nstyle.view.album import open_picture
from nstyle.view.run_files import evenly
from nstyle.view.runs import Run

GIF, MP4, SHEET = "film.gif", "film.mp4", "sheet.png"

HELD = 2.0
"""Seconds that a film shows its last picture, long enough to look at the result."""

FILM_NOTE = "nstyle film"
"""Comment in a GIF or MP4 by which a film is known as nstyle-view's."""

_HEADER_BYTES = 2**22  # the comment of an MP4 follows the table of its frames, with 16 bytes for each
_GIF_EDGE = 400
_MP4_EDGE = 3840  # players show no more, and the encoder holds dozens of frames in memory
_TILE = 220
_MOST_TILES = 400


def playing_rate(frames: int) -> float:
    """Return the frame rate in snapshots per second, between 3 and 12.

    In this range all snapshots take about 15 seconds. Below 45 the film is shorter, above 180 it is longer.
    """
    return min(max(frames / 15, 3), 12)


def refuse_foreign(path: Path, note: bytes, within: int) -> None:
    """Refuse to replace a file without our note in its first `within` bytes: it is the user's own.

    Raises:
        OutputError: the file does not contain the note, is a link or no file, or cannot be read.

    """
    try:
        with open_regular(path, MOST_BYTES, follow=False) as file:
            is_ours = note in file.read(within)
    except FileNotFoundError:
        return
    except OSError:
        is_ours = False
    if not is_ours:
        raise OutputError(
            f"{path} was not written by nstyle-view; rename it, or choose another --output-dir",
            flag="--output-dir",
            path=path,
            kind=Kind.IN_THE_WAY,
        )


def write_gif(path: Path, run: Run) -> None:
    """Write the run's snapshots as a looping GIF with a longest edge of at most 400 pixels.

    Raises:
        ImageError: there is no picture yet.
        OutputError: the file cannot be written, or is the user's own.

    """
    refuse_foreign(path, FILM_NOTE.encode(), _HEADER_BYTES)
    frames = [frame.quantize(256, Image.Quantize.MEDIANCUT) for frame in _frames(run, _GIF_EDGE)]
    durations = [round(1000 / playing_rate(len(frames)))] * len(frames)
    durations[-1] = round(1000 * HELD)
    options: dict[str, Any] = {"duration": durations, "loop": 0, "comment": FILM_NOTE.encode()}
    with replacing(path) as file:
        frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], **options)


def find_ffmpeg() -> str:
    """Return the path of ffmpeg, which encodes MP4.

    Raises:
        OutputError: ffmpeg is not installed.

    """
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        program: str = get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        raise OutputError(
            "--mp4 needs imageio-ffmpeg; run pip install 'nstyle[video]', or use --gif",
            flag="--mp4",
            kind=Kind.MISSING,
        ) from error
    return program


def write_mp4(path: Path, run: Run) -> None:
    """Write the run's snapshots as an H.264 film in their own size, up to 3840 pixels; an odd edge loses one pixel.

    Raises:
        ImageError: there is no picture yet.
        OutputError: the file cannot be written or is the user's own, or ffmpeg is missing or fails.

    """
    refuse_foreign(path, FILM_NOTE.encode(), _HEADER_BYTES)
    ffmpeg = find_ffmpeg()
    rate = playing_rate(len(run.snapshots))
    frames = map(_even, _frames(run, _MP4_EDGE))
    frame = next(frames)
    with replacing(path) as file, tempfile.TemporaryFile() as said:
        command = [
            *(ffmpeg, "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24"),
            *("-s", f"{frame.width}x{frame.height}", "-r", f"{rate:g}", "-i", "-"),
            *(
                "-c:v",
                "libx264",
                "-pix_fmt",
                "yuv420p",
                "-crf",
                "18",
                "-movflags",
                "+faststart",
                "-metadata",
                f"comment={FILM_NOTE}",
                "-f",
                "mp4",
                file.name,
            ),
        ]
        encoder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said)  # noqa: S603
        film = encoder.stdin
        if film is None:
            raise AssertionError("stdin is a pipe")
        with encoder, contextlib.suppress(BrokenPipeError):  # the encoder failed and printed the reason
            film.write(frame.tobytes())
            for frame in frames:
                film.write(frame.tobytes())
            for _ in range(round(HELD * rate) - 1):
                film.write(frame.tobytes())
            film.close()
        if encoder.returncode != 0:
            said.seek(0)
            reason = said.read().decode(errors="replace").strip().splitlines() or ["no reason given"]
            raise OutputError(
                f"{path} cannot be encoded: {reason[-1]}; free disk space, or use --gif",
                flag="--mp4",
                path=path,
                kind=Kind.UNWRITABLE,
            )


def _even(picture: Image.Image) -> Image.Image:
    """Crop the picture to even edges, which H.264 requires."""
    return picture.crop((0, 0, picture.width - picture.width % 2, picture.height - picture.height % 2))


def _frames(run: Run, edge: int) -> Iterator[Image.Image]:
    """Yield the run's pictures, each resized to the size of the last one, which has at most `edge` pixels on an edge.

    Raises:
        ImageError: no picture can be read.

    """
    paths = [snapshot.path for snapshot in run.snapshots]
    last = None
    while paths and last is None:
        last = _readable(paths.pop(), edge)
    if last is None:
        raise ImageError(
            f"{run.folder} contains no picture of its run; wait for the first snapshot",
            path=run.folder,
            kind=Kind.MISSING,
        )
    for path in paths:
        if (picture := _readable(path, edge)) is not None:
            yield picture if picture.size == last.size else picture.resize(last.size, Image.Resampling.LANCZOS)
    yield last


def _readable(path: Path, edge: int) -> Image.Image | None:
    """Return a picture that has at most `edge` pixels on an edge; None if it cannot be read."""
    try:
        return open_picture(path, edge)
    except (ImageError, OSError):
        return None


def write_sheet(path: Path, pictures: list[tuple[str, Path]], columns: int | None = None) -> None:
    """Write a contact sheet: rows of pictures, each with a label below. Of more than 400, shows 400 evenly spaced.

    Args:
        path: the PNG file.
        pictures: pairs of label and picture file; unreadable files are skipped. Columns widen for labels of several
            lines, up to 220 pixels. Wider lines are truncated.
        columns: number of pictures in a row. The default gives a sheet somewhat wider than high.

    Raises:
        ImageError: no picture can be read.
        OutputError: the file cannot be written.

    """
    tiles = []
    for label, source in evenly(pictures, _MOST_TILES):
        if (picture := _readable(source, _TILE)) is not None:
            tiles.append(([visible(words) for words in label.splitlines()], picture))
    if not tiles:
        raise ImageError(f"there is no picture yet for {path}; wait for a snapshot", path=path, kind=Kind.MISSING)
    wide, high = (max(picture.size[axis] for _, picture in tiles) for axis in (0, 1))
    font = ImageFont.load_default(13)
    long = [words for lines, _ in tiles if len(lines) > 1 for words in lines]
    wide = max(wide, min(math.ceil(max(map(font.getlength, long), default=0)), _TILE))
    gap, line = 12, 20
    text = line * max(len(lines) for lines, _ in tiles)
    if columns is None:
        columns = max(1, math.ceil(math.sqrt(len(tiles) * 1.5 * (high + text + gap) / (wide + gap))))
    columns = min(len(tiles), columns)
    rows = math.ceil(len(tiles) / columns)
    sheet = Image.new("RGB", (gap + columns * (wide + gap), gap + rows * (high + text + gap)), "white")
    draw = ImageDraw.Draw(sheet)
    for place, (lines, picture) in enumerate(tiles):
        row, column = divmod(place, columns)
        left, top = gap + column * (wide + gap), gap + row * (high + text + gap)
        sheet.paste(picture, (left, top + high - picture.height))
        for number, words in enumerate(lines):
            below = top + high + 3 + number * line
            draw.text((left, below), _fitted(words, font, wide), fill="black", font=font)
    note = PngInfo()
    note.add_text(*SHEET_NOTE)
    with replacing(path) as file:
        sheet.save(file, "PNG", pnginfo=note)


def _fitted(label: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """Truncate the label, with an ellipsis, to at most `width` pixels."""
    label = " ".join(label.split())
    if font.getlength(label) <= width:
        return label
    while label and font.getlength(label + "…") > width:
        label = label[:-1]
    return label + "…"
