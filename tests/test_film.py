"""Films painted from beginning to end: frames, film, sound and times, read back from the files."""

import json
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from film_runs import contents, negative, painted_film
from films import scene, sound_packets, write_video
from moving import pan
from PIL import Image
from refusals import refuses

from nstyle.errors import ImageError, Kind, NStyleError
from nstyle.film.flow_files import write_flow
from nstyle.film.video import open_video
from nstyle.losses.tiles import Tiling
from nstyle.painting.ways import Way
from nstyle.pictures.decode import read_picture
from nstyle.pictures.encode import write_picture
from nstyle.pictures.picture import Picture, to_uint8


def video_facts(path: Path) -> dict[str, Any]:
    """What FFmpeg says about the pictures of a film."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        return {
            "codec": stream.codec_context.name,
            "pixels": stream.codec_context.pix_fmt,
            "rate": stream.average_rate,
            "times": [frame.time for frame in frames],
            "duration": None if container.duration is None else container.duration / 1e6,
            "rotation": frames[0].rotation,
            "size": (frames[0].width, frames[0].height),
        }


def test_a_film_with_its_sound_and_a_cut(style: Path, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", [*scene(4), *negative(scene(3, tint=(200, 60, 30)))], sound=0.3)
    result = painted_film(clip, style, tmp_path / "output")
    assert result.path == tmp_path / "output" / "clip.mp4"
    assert [path.name for path in result.frames] == [f"{number:06}.png" for number in range(1, 8)]
    assert result.painted == 7
    was, now = video_facts(clip), video_facts(result.path)
    assert now == was | {"pixels": "yuv420p"}
    assert sound_packets(result.path) == sound_packets(clip)
    assert len(sound_packets(clip)) > 5
    record = json.loads(result.record.read_text())
    assert record["film"]["shots"] == [[1, 4], [5, 7]]
    assert (record["stop_reason"], record["film"]["frames"]) == ("epochs", 7)
    rows = (tmp_path / "output" / "frames.csv").read_text().splitlines()
    assert [row.split(",")[:4] for row in rows[1:]] == [
        [str(frame), "1" if frame < 5 else "2", "1", "3" if frame in (1, 5) else "2"] for frame in range(1, 8)
    ]
    assert sorted(path.name for path in (tmp_path / "output").iterdir()) == [
        *("clip.mp4", "film.json", "frames", "frames.csv", "shots", "source")
    ]
    # The film shows the frames, up to H.264's losses.
    for picture, path in zip(open_video(result.path).frames(), result.frames, strict=True):
        assert np.abs(picture.rgb - read_picture(path).rgb).mean() < 0.06
    # After a cut, the frames are those of a film that begins there.
    begun = painted_film(clip, style, tmp_path / "begun", from_="5f")
    assert contents(begun.frames) == contents(result.frames[4:])
    single = painted_film(clip, style, tmp_path / "single", cuts=False)
    assert contents(single.frames[:4]) == contents(result.frames[:4])
    assert json.loads(single.record.read_text())["film"]["shots"] == [[1, 7]]


def test_times_rotation_and_part_of_a_film(style: Path, tmp_path: Path) -> None:
    rate = Fraction(30000, 1001)
    clip = write_video(tmp_path / "turned.mp4", scene(8), rate=rate, rotation=90, sound=0.3)
    result = painted_film(clip, style, tmp_path / "output", from_="3f", to="7f", every=2)
    assert result.path is not None
    now = video_facts(result.path)
    assert (now["rotation"], now["rate"]) == (video_facts(clip)["rotation"], Fraction(15000, 1001))
    assert now["times"] == pytest.approx([0, float(2 / rate), float(4 / rate)], abs=1e-4)
    with Image.open(result.frames[0]) as frame:
        assert frame.size == (32, 48)  # upright
    whole = painted_film(clip, style, tmp_path / "whole", cuts=False, to="1f")
    assert len(whole.frames) == 1
    packets = sound_packets(clip)
    kept = sound_packets(result.path)
    assert 0 < len(kept) < len(packets)
    assert kept[0] in packets[1:]


def test_a_variable_rate(style: Path, tmp_path: Path) -> None:
    ticks = [0, 20, 30, 90, 100]
    clip = write_video(tmp_path / "clip.mp4", scene(5), ticks=ticks, time_base=Fraction(1, 600))
    result = painted_film(clip, style, tmp_path / "output")
    assert result.path is not None
    assert open_video(result.path).timing.starts == tuple(Fraction(tick, 600) for tick in ticks)


def test_ten_bits_and_odd_sizes(style: Path, tmp_path: Path) -> None:
    frames = [np.ascontiguousarray(frame[:31, :47].astype(np.uint16) * 257) for frame in scene(3)]
    deep = write_video(tmp_path / "deep.mkv", frames, codec="ffv1", pixels="yuv444p10le")
    result = painted_film(deep, style, tmp_path / "output", film_codec="prores", max_long_edge=47)
    assert result.path == tmp_path / "output" / "deep.mov"
    facts = video_facts(result.path)
    assert (facts["codec"], facts["pixels"]) == ("prores", "yuv422p10le")
    levels = read_picture(result.frames[0]).rgb * np.float32(255)
    assert levels.shape == (31, 47, 3)
    assert (np.abs(levels - np.rint(levels)) > 0.01).any()  # 16 bits
    again = painted_film(deep, style, tmp_path / "output", max_long_edge=47)
    assert again.path is not None
    assert (again.painted, video_facts(again.path)["size"]) == (0, (48, 32))  # H.264 needs even edges
    assert result.path.exists()


def test_a_folder_of_frames_with_alpha_and_16_bits(
    style: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    alpha = np.ones((32, 48), np.float32)
    alpha[:, :20] = 0.5
    for number, frame in enumerate(scene(3), start=9):  # f9, f10, f11
        rgb = np.clip(frame.astype(np.float32) / 255 + np.float32(0.001), 0, 1)
        write_picture(folder / f"f{number}.png", Picture(rgb, alpha), bit_depth=16)
    result = painted_film(folder, style, tmp_path / "output", film_codec="lossless", frame_rate="25")
    assert result.path == tmp_path / "output" / "photos.mkv"
    facts = video_facts(result.path)
    assert (facts["pixels"], facts["rate"], len(facts["times"])) == ("gbrap16le", 25, 3)
    assert not caplog.records
    for path, picture in zip(result.frames, open_video(result.path).frames(), strict=True):
        frame = read_picture(path)
        assert frame.alpha is not None
        np.testing.assert_allclose(frame.alpha, alpha, atol=1e-4)
        levels = frame.rgb * np.float32(255)
        assert (np.abs(levels - np.rint(levels)) > 0.01).any()
        np.testing.assert_array_equal(picture.rgb, frame.rgb)
    white = painted_film(folder, style, tmp_path / "output", frame_rate="25")
    assert (white.painted, white.path) == (0, tmp_path / "output" / "photos.mp4")
    assert [record.message.split(" has ")[0] for record in caplog.records] == ["photos.mp4"]


def test_frames_and_flow_files_need_no_libraries(
    style: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The frames are named as in the source: from the second on, every other one."""
    film, folder, flow = pan(width=48, height=32), tmp_path / "photos", tmp_path / "flow"
    folder.mkdir()
    flow.mkdir()
    for number in range(1, 7):
        Image.fromarray(to_uint8(film.frame(number))).save(folder / f"{number}.png")
    for earlier, later in ((2, 4), (4, 6)):
        motion = film.motion(earlier, later)
        write_flow(flow / f"forward_{earlier}_{later}.flo", motion.forward)
        write_flow(flow / f"backward_{later}_{earlier}.flo", motion.backward)
    options = {"flow": flow, "from_": "2f", "every": 2}
    with_libraries = painted_film(folder, style, tmp_path / "with", cuts=False, **options)
    for name in ("av", "cv2", "scenedetect"):
        monkeypatch.setitem(sys.modules, name, None)
    caplog.clear()
    result = painted_film(folder, style, tmp_path / "without", **options)
    assert result.path is None
    assert contents(result.frames) == contents(with_libraries.frames)
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 2
    assert "single shot" in warnings[0]
    assert "nstyle[film]" in warnings[1]
    (flow / "backward_6_4.flo").unlink()
    with refuses(ImageError, kind=Kind.MISSING, flag="--flow", path=flow / "backward_6_4.flo"):
        painted_film(folder, style, tmp_path / "missing", **options)
    assert not (tmp_path / "missing" / "film.json").exists()  # it is looked for before anything is painted
    with pytest.raises(NStyleError, match=r"nstyle\[film\]"):
        painted_film(folder, style, tmp_path / "estimated")
    assert not (tmp_path / "estimated" / "film.json").exists()


def test_a_broken_frame_is_named_and_what_is_painted_stays(style: Path, tmp_path: Path) -> None:
    folder, output = tmp_path / "photos", tmp_path / "output"
    folder.mkdir()
    for number, frame in enumerate(scene(4), start=1):
        Image.fromarray(frame).save(folder / f"{number}.png")
    whole = (folder / "3.png").read_bytes()
    (folder / "3.png").write_bytes(whole[: len(whole) // 2])
    with refuses(ImageError, kind=Kind.DAMAGED, path=folder / "3.png"):
        painted_film(folder, style, output)  # the search for cuts finds it
    assert not (output / "film.json").exists()
    with refuses(ImageError, kind=Kind.DAMAGED, path=folder / "3.png") as refused:
        painted_film(folder, style, output, cuts=False)
    assert str(refused.value).startswith("frame 3: ")
    assert json.loads((output / "film.json").read_text())["stop_reason"] == "failed"
    assert [path.name for path in sorted((output / "frames").iterdir())] == ["000001.png", "000002.png"]
    assert not (output / "photos.mp4").exists()


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "lbfgs", "preserve_colors": "luma"},
        {"optimizer": "adam", "max_memory": "1GB"},
        {"optimizer": "nag", "balance": "absolute", "temporal_distances": (1, 2)},
        {"preset": "fast", "init": "noise", "seed": 3, "scales": 2},
        {"style_mask": [("left.png", "style.png"), ("right.png", "other.png")]},
    ],
)
def test_stopped_and_continued_with_any_settings(
    options: dict[str, Any], style: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Masks, optimizers, colors, regions; in tiles, which `max_memory` decides here for tiny frames, too."""
    if "max_memory" in options:
        monkeypatch.setattr("nstyle.painting.session.memory_in_use", lambda device: 0)
        monkeypatch.setattr("nstyle.painting.memory.Memory.ways", lambda memory: [Way(Tiling(values=2**12))])
    clip = write_video(tmp_path / "clip.mp4", scene(4))
    mask = np.zeros((32, 48), np.uint8)
    mask[:, :30] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    half = np.array([[0, 255]], np.uint8).repeat(24, axis=1).repeat(32, axis=0)
    Image.fromarray(255 - half).save(tmp_path / "left.png")
    Image.fromarray(half).save(tmp_path / "right.png")
    Image.fromarray(scene(1, 40, 40, (200, 60, 30))[0]).save(tmp_path / "other.png")
    monkeypatch.chdir(tmp_path)
    chosen = {"mask": tmp_path / "mask.png", **options}
    whole = painted_film(clip, style, tmp_path / "whole", **chosen)
    first = painted_film(clip, style, tmp_path / "parts", to="2f", **chosen)
    assert first.painted == 2
    more = painted_film(clip, style, tmp_path / "parts", **chosen)
    assert (more.painted, len(more.frames)) == (2, 4)
    assert contents(more.frames) == contents(whole.frames)
    for frame, source in zip(whole.frames, scene(4), strict=True):
        assert np.abs(to_uint8(read_picture(frame).rgb)[:, 32:].astype(int) - source[:, 32:]).mean() < 6
