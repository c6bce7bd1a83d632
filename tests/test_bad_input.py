"""User errors through the command: exit code 1 or 2, one line that names the cause, no files left."""

import json
import os
import shutil
import socket
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from pictures import painted, png
from PIL import EpsImagePlugin, Image
from refusals import refuses

from nstyle.commands.paint import main
from nstyle.devices import Precision
from nstyle.errors import DeviceError, Kind
from nstyle.networks.weights import read_weights
from nstyle.painting.memory import CONVOLUTION_BYTES
from nstyle.painting.stylize import set_up
from nstyle.settings.config import Config


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a valid pair of pictures."""
    monkeypatch.chdir(tmp_path)
    painted(32, 48, seed=1).save("content.png")
    painted(40, 40, seed=2).save("style.png")
    return tmp_path


def command(*flags: str) -> int:
    """Run the command, small and short, on the valid pair or the pictures that the flags name."""
    names = (("--content-image", "content.png"), ("--style-image", "style.png"))
    short = [word for pair in names if pair[0] not in flags for word in pair]
    try:
        return main([*short, "--max-long-edge", "32", "--max-num-epochs", "2", *flags])
    except SystemExit as stop:
        return int(stop.code or 0)


def assert_refused(code: int, here: Path, capsys: pytest.CaptureFixture[str], expected: int, *words: str) -> None:
    error = capsys.readouterr().err
    assert code == expected, error
    assert error.endswith("\n")
    assert error.count("\n") == 1, error
    assert error.startswith("nstyle: error: ")
    assert "Traceback" not in error
    for word in words:
        assert word in error
    output = here / "output"
    assert not output.is_dir() or not list(output.iterdir())


def promise(width: int, height: int) -> bytes:
    """A PNG whose header claims this many pixels, but which has none."""
    return png(width, height, 8, 2, bytes(99))


def cut(path: Path, form: str, part: float) -> None:
    painted(200, 200).save(path, format=form)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])


def spoil_tiff(path: Path) -> None:
    """A TIFF with damaged compressed pixels, for which its decoder prints its own message."""
    painted(64, 64).save(path, format="TIFF", compression="tiff_lzw")
    content = bytearray(path.read_bytes())
    content[200:1200] = bytes([255]) * 1000
    path.write_bytes(content)


def listen(path: Path) -> None:
    """A socket in the file system, which is neither a folder nor a regular file."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)


PICTURES: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: None,
    "empty": lambda path: path.touch(),
    "a folder": lambda path: path.mkdir(),
    "a socket": listen,
    "text": lambda path: path.write_text("Dear diary, today I saw a picture."),
    "html": lambda path: path.write_text("<html><h1>404 Not Found</h1></html>"),
    "zeros": lambda path: path.write_bytes(bytes(5000)),
    "truncated jpeg": lambda path: cut(path, "JPEG", 0.5),
    "truncated png": lambda path: cut(path, "PNG", 0.5),
    "truncated gif": lambda path: cut(path, "GIF", 0.02),
    "truncated webp": lambda path: cut(path, "WEBP", 0.5),
    "damaged compression": spoil_tiff,
    "truncated tiff": lambda path: cut(path, "TIFF", 0.5),
    "corrupt png": lambda path: path.write_bytes(promise(100, 100)),
    "1x1 pixels": lambda path: painted(1, 1).save(path, "PNG"),
    "15x15 pixels": lambda path: painted(15, 15).save(path, "PNG"),
    "1x4000 pixels": lambda path: painted(4000, 1).save(path, "PNG"),
    "4000x1 pixels": lambda path: painted(1, 4000).save(path, "PNG"),
    "far too long": lambda path: path.write_bytes(promise(3407896, 20)),
    "decompression bomb": lambda path: path.write_bytes(promise(50000, 50000)),
    "a NaN": lambda path: Image.fromarray(np.full((20, 20), np.nan, np.float32)).save(path, "TIFF"),
}


@pytest.mark.parametrize("which", ["content", "style"])
@pytest.mark.parametrize("case", PICTURES)
def test_pictures(case: str, which: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    PICTURES[case](here / "spoilt.jpg")
    assert_refused(command(f"--{which}-image", "spoilt.jpg"), here, capsys, 1, "spoilt.jpg")


@pytest.mark.parametrize("flag", ["--content-image", "--style-image", "--init", "--weights"])
def test_a_name_that_is_too_long(flag: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert_refused(command(flag, 300 * "x"), here, capsys, 1, 300 * "x")


def test_decoders_do_not_speak_for_themselves(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    spoil_tiff(here / "spoilt.jpg")
    assert_refused(command("--style-image", "spoilt.jpg"), here, capfd, 1, "spoilt.jpg")


@pytest.mark.parametrize("name", ["final.jpg", "e_50.jpg"])
def test_pictures_that_would_be_painted_over(name: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "elsewhere").mkdir()
    painted(32, 48).save(here / "elsewhere" / name)
    before = (here / "elsewhere" / name).read_bytes()
    flags = ["--output-dir", "elsewhere", "--content-image", f"elsewhere/{name}"]
    assert_refused(command(*flags), here, capsys, 1, name, "--output-dir")
    assert (here / "elsewhere" / name).read_bytes() == before


def test_a_folder_in_the_place_of_the_picture_is_seen_before_the_work(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = here / "elsewhere" / "final.jpg"
    folder.mkdir(parents=True)
    assert_refused(command("--output-dir", "elsewhere"), here, capsys, 1, "final.jpg", "--output-dir")
    assert list(folder.parent.iterdir()) == [folder]


def test_no_picture_runs_a_program(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow would run Ghostscript on any PostScript file, whatever its name."""
    ghostscript = Mock(return_value=painted(50, 50).im)
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", ghostscript)
    header = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\n%%EndComments\n%%EOF\n"
    (here / "spoilt.jpg").write_text(header)
    assert_refused(command("--style-image", "spoilt.jpg"), here, capsys, 1, "spoilt.jpg")
    ghostscript.assert_not_called()


def test_init_picture(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert_refused(command("--init", "nosuch.png"), here, capsys, 1, "nosuch.png")


def test_a_picture_too_narrow_at_the_working_size(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    painted(20, 400).save("wide.png")
    assert_refused(command("--content-image", "wide.png"), here, capsys, 1, "wide.png", "--max-long-edge 32")


NUMBERS = {
    "--max-long-edge": ["65501", "1" + 400 * "0", "nan", "inf", "0", "-600", "15", "1e3", "600.5", "big", ""],
    "--content-weight": ["nan", "inf", "-inf", "-1", "much"],
    "--style-weight": ["nan", "inf", "-1"],
    "--tv-weight": ["nan", "inf", "-0.5"],
    "--seed": ["nan", "-1", "1.5", "99999999999999999999"],
    "--max-num-epochs": ["nan", "inf", "0", "-5", "1.5", "", "5,,3", "5,0"],
    "--scale-factor": ["nan", "inf", "1", "5", "two"],
    "--coarsest-edge": ["nan", "15", "65501", "20.5", ""],
    "--stop-eps": ["nan", "inf", "-0.1"],
    "--lr": ["nan", "inf", "0", "-0.001", "fast"],
    "--lr-sched-delay": ["nan", "inf", "0", "-75"],
    "--lr-sched-factor": ["nan", "inf", "0", "-0.9", "1.5"],
    "--save-epochs": ["nan", "inf", "0", "-50"],
    "--remove-noise": ["1e300", "nan", "inf", "-0.02"],
    "--gpu": ["128", "99999999999999999999", "nan", "-2", "first"],
}


@pytest.mark.parametrize(("flag", "value"), [(flag, value) for flag, values in NUMBERS.items() for value in values])
def test_numbers(flag: str, value: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert_refused(command(f"{flag}={value}"), here, capsys, 2, flag)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--no-such-flag"], "--no-such-flag"),
        (["picture.jpg"], "picture.jpg"),
        (["--lr"], "--lr"),
        (["--content-im", "content.png"], "--content-im"),
        (["--quiet", "--verbose"], "--verbose"),
        (["--model", "resnet"], "resnet"),
        (["--optimizer", "sgd"], "sgd"),
        (["--precision", "float16"], "float16"),
        (["--image-format", "gif"], "gif"),
        (["--weights-input", "cmyk"], "cmyk"),
        (["--device", "tpu"], "tpu"),
        (["--device", "cuda:01"], "cuda:01"),
        (["--device", "cuda:999999"], "cuda:999999"),
        (["one\ntwo"], r"one\ntwo"),
        (["--device", "cpu", "--gpu", "0"], "--gpu and --device"),
        (["--scales", "3", "--coarsest-edge", "64"], "--scales 3 and --coarsest-edge"),
        (["--coarsest-edge", "16", "--scale-factor", "1.01"], "--scale-factor 1.01"),
        (["--content-weight", "0", "--style-weight", "0"], "--content-weight"),
        (["--content-image", ""], "--content-image"),
        (["--output-dir", ""], "--output-dir"),
        (["--weights", ""], "--weights"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_flags(flags: list[str], words: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert_refused(command(*flags), here, capsys, 2, words)


@pytest.mark.parametrize("flags", [["--gpu", "7"], ["--device", "cuda:9"], ["--device", "cuda"], ["--device", "mps"]])
def test_a_device_that_is_not_there(
    flags: list[str], here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert_refused(command(*flags), here, capsys, 1, "--device cpu")


def test_more_pixels_than_memory(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nstyle.painting.memory.free_memory", lambda device: 10**6)
    assert_refused(command("--max-long-edge", "100"), here, capsys, 1, "--max-long-edge 100")


def test_what_a_network_sees_beyond_the_edges_takes_memory(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nstyle.painting.memory.free_memory", lambda device: CONVOLUTION_BYTES + 32 * 21 * 3000)
    assert command("--quiet") == 0
    shutil.rmtree("output")
    assert_refused(command("--padding", "mirror"), here, capsys, 1, "--max-long-edge 32")


def test_a_style_of_more_pixels_than_memory(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nstyle.painting.memory.free_memory", lambda device: CONVOLUTION_BYTES + 32 * 21 * 3000)
    assert command("--quiet", "--style-scale", "1") == 0
    shutil.rmtree("output")
    assert_refused(command("--style-scale", "4"), here, capsys, 1, "--style-scale 4")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--style-scale", "0.5"], ["style.png", "16x10", "--style-scale 0.5", "--max-long-edge"]),
        (["--style-image", "wide.png", "--style-fit", "contain"], ["wide.png", "32x8", "--style-fit contain"]),
        (["--blend-style", "style.png", "1", "--blend-style", "wide.png", "1", "--style-fit", "contain"], ["32x8"]),
        (["--blend-style", "none.png", "1"], ["none.png"]),
        (["--mask", "none.png"], ["none.png"]),
        (["--mask", "black.png"], ["black.png"]),
        (["--mask", "square.png"], ["square.png", "40x40", "content.png", "48x32"]),
        (["--style-mask", "square.png", "all"], ["square.png", "40x40", "content.png", "48x32"]),
        (["--style-mask", "white.png", "white.png"], ["white.png", "48x32", "style.png", "40x40"]),
        (["--style-mask", "black.png", "all"], ["black.png"]),
        (["--style-mask", "white.png", "none.png"], ["none.png"]),
        (["--mask", "left.png", "--style-mask", "right.png", "all"], ["right.png", "left.png"]),
        (
            ["--style-image", "upright.png", "--style-fit", "cover", "--style-mask", "white.png", "top.png"],
            ["top.png", "upright.png"],
        ),
    ],
)
def test_controls(flags: list[str], words: list[str], here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    painted(40, 160).save("wide.png")
    painted(96, 48).save("upright.png")
    top = Image.new("L", (48, 96))
    top.paste(255, (0, 0, 48, 8))
    top.save("top.png")
    Image.new("L", (40, 40), 255).save("square.png")
    for name, box in {"black": (0, 0), "white": (0, 48), "left": (0, 16), "right": (32, 48)}.items():
        mask = Image.new("L", (48, 32))
        mask.paste(255, (box[0], 0, box[1], 32))
        mask.save(f"{name}.png")
    assert_refused(command(*flags), here, capsys, 1, *words)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--blend-style", "a.png"], ["--blend-style"]),
        (["--blend-style", "a.png", "much"], ["--blend-style", "much"]),
        (["--blend-style", "a.png", "0"], ["--blend-style"]),
        (["--style-scale", "0"], ["--style-scale"]),
        (["--style-fit", "crop"], ["--style-fit", "cover"]),
        (["--preserve-colors", "hue"], ["--preserve-colors", "luma"]),
        (["--blend-style", "a.png", "1", "--style-mask", "r.png", "all"], ["--style-mask"]),
    ],
)
def test_controls_of_wrong_usage(
    flags: list[str], words: list[str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_refused(command(*flags), here, capsys, 2, *words)


def test_a_mask_that_would_be_painted_over(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("L", (48, 32), 255).save("final.jpg")
    code = command("--mask", "final.jpg", "--output-dir", ".")
    assert_refused(code, here, capsys, 1, "final.jpg", "--output-dir")


def test_an_absurd_size(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert_refused(command("--max-long-edge", "65500"), here, capsys, 1, "--max-long-edge 65500")


def test_memory_that_runs_out_all_the_same(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for error in (
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        torch.OutOfMemoryError(),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ):

        def run_out(*_: object, error: Exception = error, **__: object) -> None:
            raise error

        monkeypatch.setattr("nstyle.painting.prepare.Objective", run_out)
        assert_refused(command(), here, capsys, 1, "--max-long-edge")


@pytest.mark.parametrize(("device", "flag"), [("cuda:0", "--max-memory"), ("cpu", "--max-long-edge")])
def test_a_limit_that_does_not_suffice_is_named(device: str, flag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU, PyTorch may not take more; a CPU has no such limit, so there a higher one would not help."""
    monkeypatch.setattr("nstyle.painting.stylize.limited_memory", lambda device, limit: nullcontext())
    config, precision = Config(max_memory="1GB"), Precision(torch.float32)
    with (
        refuses(DeviceError, kind=Kind.OUT_OF_RANGE, flag=flag),
        set_up(config, torch.device(device), precision),
    ):
        raise torch.OutOfMemoryError


def test_our_own_bugs_show_their_traceback(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("nstyle.painting.prepare.Objective", bug)
    with pytest.raises(RuntimeError, match="a bug"):
        command()


@contextmanager
def nobody() -> Iterator[None]:
    """Drop root's rights, because root may read and write everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder that everybody may enter and write to, with a valid pair of pictures."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    monkeypatch.chdir(folder)
    painted(32, 48, seed=1).save("content.png")
    painted(40, 40, seed=2).save("style.png")
    yield folder
    monkeypatch.undo()
    shutil.rmtree(folder)


def test_a_picture_without_permission(open_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("style.png").chmod(0)
    with nobody():
        code = command()
    assert_refused(code, open_folder, capsys, 1, "style.png", "chmod")


@pytest.mark.parametrize("flag", ["--style-image", "--weights"])
def test_a_file_in_a_folder_without_permission(
    flag: str, open_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("--quiet") == 0  # all that is imported late is now there
    shutil.rmtree("output")
    Path("private").mkdir(mode=0)
    with nobody():
        code = command(flag, "private/file")
    assert_refused(code, open_folder, capsys, 1, "private/file")


def test_an_output_folder_without_permission(open_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("output").mkdir(mode=0o555)
    with nobody():
        code = command()
    assert_refused(code, open_folder, capsys, 1, "output", "--output-dir")


def test_weights_without_permission(open_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("weights.pth").write_bytes(b"x" * 100)
    Path("weights.pth").chmod(0)
    assert command("--quiet") == 0  # all that is imported late is now there
    shutil.rmtree("output")
    with nobody():
        code = command("--weights", "weights.pth")
    assert_refused(code, open_folder, capsys, 1, "weights.pth")


def test_an_output_folder_that_is_a_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "output").write_text("precious")
    assert_refused(command(), here, capsys, 1, "output", "--output-dir")
    assert (here / "output").read_text() == "precious"


def test_an_output_folder_below_a_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert_refused(command("--output-dir", "content.png/output"), here, capsys, 1, "content.png/output")


def test_a_picture_that_cannot_be_written(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder has the name of a snapshot that the repeated run writes. It is refused before it paints."""
    flags = ["--output-dir", "elsewhere", "--save-epochs", "1", "--quiet", "--overwrite"]
    assert command(*flags) == 0
    snapshot = here / "elsewhere" / "e_1.jpg"
    snapshot.unlink()
    snapshot.mkdir()
    assert_refused(command(*flags), here, capsys, 1, "e_1.jpg", "--output-dir")
    assert (here / "elsewhere" / "final.jpg").exists()
    assert snapshot.is_dir()
    assert not list((here / "elsewhere").glob(".*.tmp"))


def save_short(path: Path) -> None:
    tensors = read_weights().tensors
    torch.save({name: tensor for name, tensor in tensors.items() if name < "conv4"}, path)


def save_nan(path: Path) -> None:
    tensors = dict(read_weights().tensors)
    tensors["conv3_1.bias"] = torch.full_like(tensors["conv3_1.bias"], float("nan"))
    torch.save(tensors, path)


def save_dead(path: Path) -> None:
    tensors = read_weights().tensors
    torch.save({name: -tensor.abs() if "bias" in name else tensor * 0 for name, tensor in tensors.items()}, path)


WEIGHTS: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: None,
    "empty": lambda path: path.touch(),
    "a folder": lambda path: path.mkdir(),
    "a picture": lambda path: painted(20, 20).save(path, "PNG"),
    "truncated": save_short,
    "NaN": save_nan,
    "dead": save_dead,
    "another network": lambda path: torch.save({"conv1_1.weight": torch.zeros(8, 3, 7, 7)}, path),
    "not a state dict": lambda path: torch.save(torch.zeros(3), path),
    "code": lambda path: torch.save({"conv1_1.weight": os.system}, path),
    "cut off parameters": lambda path: path.write_bytes(struct.pack("<QQQ", 0x112, 0, 26)),
}


@pytest.mark.parametrize("case", WEIGHTS)
def test_weights(case: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    WEIGHTS[case](here / "spoilt.pth")
    code = command("--weights", "spoilt.pth", "--weights-input", "rgb")
    assert_refused(code, here, capsys, 1, "--weights" if case == "dead" else "spoilt.pth")


@pytest.mark.parametrize("weight", ["1e15", "1e20", "1e30", "1e300"])
def test_weights_beyond_the_range_of_the_numbers_diverge(
    weight: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = command("--content-weight", weight, "--quiet")
    error = capsys.readouterr().err
    assert code == 1
    assert error.count("\n") == 1
    assert "diverged in epoch 0" in error


def test_the_start_is_not_worth_an_older_picture(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command("--quiet") == 0
    before = {path: path.read_bytes() for path in (here / "output").iterdir()}
    monkeypatch.setattr("nstyle.optim.descent.DIVERGED_RMS", 0)  # now the same run diverges in its first epoch
    assert command("--quiet", "--overwrite") == 1
    assert "final.jpg" not in capsys.readouterr().err
    assert {path: path.read_bytes() for path in (here / "output").iterdir()} == before


@pytest.mark.parametrize("lr", ["5", "30", "1e30"])
def test_divergence_stops_at_once_and_keeps_the_last_good_picture(
    lr: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = command("--lr", lr, "--max-num-epochs", "500", "--quiet")
    error = capsys.readouterr().err
    assert code == 1
    assert error.count("\n") == 1
    assert "diverged in epoch" in error
    assert f"--lr (now {float(lr):g})" in error
    assert "output/final.jpg" in error
    with Image.open(here / "output" / "final.jpg") as picture:
        assert picture.size == (32, 21)
    record = json.loads((here / "output" / "run.json").read_text())
    assert record["stop_reason"] == "diverged"
    assert record["epochs"] < 20
    assert not list((here / "output").glob(".*"))


@pytest.mark.parametrize(
    "flags", [[], ["--sweep", "style-weight=1,2"], ["--style-image", "content.png", "style.png"]]
)
def test_an_output_folder_whose_name_no_file_system_takes(
    flags: list[str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = ["--content-image", "content.png", "style.png"] if flags[:1] == ["--style-image"] else []
    code = command(*pictures, *flags, "--model", "filters", "--output-dir", "x" * 300)
    error = capsys.readouterr().err
    assert code == 1
    assert "x" * 300 in error
    assert "Traceback" not in error
    assert not list(here.glob("x*"))


def test_a_current_folder_that_was_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert main(["a.png", "b.png"]) == 1
    assert capsys.readouterr().err == "nstyle: error: the current folder no longer exists; change to another\n"
