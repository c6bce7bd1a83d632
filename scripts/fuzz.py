"""Damage pictures, recipes and checkpoints, and check that the readers return a result or raise an `NStyleError`.

usage: python scripts/fuzz.py [--count 20000] [--seed 0] [--reader NAME] [--memory 1.5] [--seconds 20] [--save DIR]

Makes small valid files of every format, mutates them (bits, runs, cuts, splices, lengths, header fields) and reads
them in a separate process. A find is a file that raises anything but an `NStyleError`, kills the process, or needs
more memory than --memory (GB) or more time than --seconds. Finds are saved, and the exit code is then 1. The same
seed makes the same files.
"""

import argparse
import contextlib
import json
import multiprocessing
import random
import resource
import signal
import struct
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pillow_heif
import tifffile
import torch
from PIL import Image, ImageCms, PngImagePlugin

from nstyle.commands.terminal import quiet_libraries
from nstyle.errors import NStyleError
from nstyle.optim.descent import DescentState
from nstyle.pictures.decode import read_picture
from nstyle.pictures.embedded_text import read_recipe_text
from nstyle.pictures.encode import write_picture
from nstyle.pictures.picture import Picture
from nstyle.settings.config import Config
from nstyle.storage.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from nstyle.storage.recipe import Recipe, parse_recipe, read_recipe, recorded_settings

READERS: dict[str, tuple[Callable[[Path], object], str]] = {
    # name: (reader, kind of corpus files that it reads)
    "read_picture": (read_picture, "picture"),
    "read_recipe_text": (read_recipe_text, "picture"),
    "read_recipe": (read_recipe, "recipe"),
    "read_state": (lambda path: read_checkpoint(path, torch.device("cpu")), "state"),
}

Corpus = dict[str, tuple[str, bytes]]
"""Name: (kind, content); the kind is "picture", "recipe" or "state"."""

_FILE = {"path": "/pictures/photo.jpg", "sha256": "0" * 64}
RECIPE = Recipe(
    settings=recorded_settings(Config()),
    inputs={"content_image": _FILE, "style_image": _FILE},
    weights={**_FILE, "original": True},
    size=(24, 20),
    device="cpu",
    device_name="a processor",
    precision="float32",
    versions={"nstyle": "1", "torch": "2"},
).text()


def make_corpus(folder: Path) -> Corpus:
    """Make small valid files: every format, mode and depth, with profiles, EXIF and recipes."""
    corpus: Corpus = {
        "recipe": ("recipe", RECIPE.encode()),
        "recipe of many lines": ("recipe", json.dumps(json.loads(RECIPE), indent=2).encode()),
    }

    def keep(name: str, save: Callable[[Path], object], kind: str = "picture") -> None:
        path = folder / f"valid.{name.split()[0]}"
        save(path)
        corpus[name] = (kind, path.read_bytes())

    y, x = np.mgrid[0:20, 0:24].astype(np.float32)
    rgb = np.stack([x / 24, y / 20, (x + y) / 44], axis=-1)
    alpha = np.clip((x - 4) / 12, 0, 1)
    picture = Image.fromarray((rgb * 255).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    wide = bytearray(srgb)
    wide[wide.index(b"XYZ ", 200) + 8 :][:4] = struct.pack(">i", 40000)  # a different red: no longer sRGB
    tags: dict[str, Any] = {"exif": exif.tobytes(), "icc_profile": bytes(wide)}

    for form in ("jpg", "png", "tiff", "webp"):
        for a in (None, alpha):
            written = Picture(rgb, a)
            for bits in (8, 16) if form in ("png", "tiff") else (8,):
                name = f"{form} written {bits} {'alpha' if a is not None else ''}"
                keep(name, lambda path, w=written, b=bits: write_picture(path, w, bit_depth=b, recipe=RECIPE))  # type: ignore[misc]
    rgba = picture.convert("RGBA")
    rgba.putalpha(Image.fromarray((alpha * 255).astype(np.uint8)))
    by_pillow: dict[str, tuple[Image.Image, dict[str, Any]]] = {
        "jpg grey": (picture.convert("L"), tags),
        "jpg cmyk": (picture.convert("CMYK"), {}),
        "jpg progressive": (picture, {"progressive": True, **tags}),
        "jpg restarts": (picture, {"restart_marker_blocks": 1, "subsampling": 1, **tags}),
        "png palette": (picture.quantize(16), {"transparency": 3}),
        "png bilevel": (picture.convert("1"), {}),
        "png la": (rgba.convert("LA"), tags),
        "png interlaced": (picture, {"interlace": 1, **tags}),
        "png animated": (picture, {"save_all": True, "append_images": [rgba]}),
        "tiff lzw": (picture, {"compression": "tiff_lzw", **tags}),
        "tiff jpeg": (picture, {"compression": "jpeg"}),
        "tiff fax": (picture.convert("1"), {"compression": "group4"}),
        "tiff packbits": (picture.quantize(16), {"compression": "packbits"}),
        "tiff cmyk": (picture.convert("CMYK"), tags),
        "tiff ycbcr": (picture.convert("YCbCr"), {}),
        "tiff raw": (rgba, tags),
        "webp lossy": (rgba, {"quality": 80, **tags}),
        "webp animated": (picture, {"save_all": True, "append_images": [rgba]}),
        "avif": (rgba, tags),
        "gif": (picture.quantize(32), {"transparency": 3}),
        "gif animated": (picture.quantize(32), {"save_all": True, "append_images": [rgba]}),
        "bmp": (picture, {}),
        "bmp palette": (picture.quantize(16), {}),
        "dib": (picture, {}),
        "tga": (rgba, {"compression": "tga_rle"}),
        "ppm": (picture, {}),
        "pgm": (Image.fromarray((x * 2000).astype(np.uint16)), {}),
        "pcx": (picture, {}),
        "ico": (rgba, {"sizes": [(16, 16), (20, 20)]}),
        "ico bmp": (rgba.resize((32, 32)), {"sizes": [(16, 16), (32, 32)], "bitmap_format": "bmp"}),
        "sgi": (picture, {}),
        "qoi": (rgba, {}),
        "jp2": (picture, {}),
        "mpo": (picture, {"save_all": True, "append_images": [picture], **tags}),
    }
    for name, (image, options) in by_pillow.items():
        keep(name, lambda path, i=image, o=options: i.save(path, **o))  # type: ignore[misc]
    deep = (rgb * 65535).astype(np.uint16)
    by_tifffile: dict[str, tuple[np.ndarray[Any, Any], dict[str, Any]]] = {
        "tiff deep": (deep, {"photometric": "rgb", "iccprofile": bytes(wide)}),
        "tiff big-endian": (deep, {"photometric": "rgb", "byteorder": ">", "compression": "lzw"}),
        "tiff tiles": (deep, {"photometric": "rgb", "tile": (16, 16), "compression": "zlib", "predictor": True}),
        "tiff planes": (np.moveaxis(deep, 2, 0), {"photometric": "rgb", "planarconfig": "separate"}),
        "tiff big": (deep, {"photometric": "rgb", "bigtiff": True}),
        "tiff grey": (deep[..., 0], {"photometric": "miniswhite"}),
        "tiff float": (rgb, {"photometric": "rgb", "compression": "zlib", "predictor": True}),
        "tiff associated": (np.dstack([rgb, alpha]) * alpha[..., None], {"extrasamples": ["assocalpha"]}),
        "tiff zstd": (deep, {"photometric": "rgb", "compression": "zstd"}),
        "tiff jxl": ((rgb * 255).astype(np.uint8), {"photometric": "rgb", "compression": "jpegxl"}),
        "tiff lab": (deep, {"photometric": "cielab", "compression": "zlib"}),
        "tiff extra": (np.dstack([deep] * 2), {"photometric": "rgb", "extrasamples": [0, 2, 0]}),
    }
    for name, (array, options) in by_tifffile.items():
        keep(name, lambda path, a=array, o=options: tifffile.imwrite(path, a, metadata=None, **o))  # type: ignore[misc]
    colors = PngImagePlugin.PngInfo()
    colors.add(b"gAMA", struct.pack(">I", 100_000))
    colors.add(b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000))
    colors.add(b"cICP", bytes([12, 13, 0, 1]))
    keep("png colors", lambda path: picture.save(path, pnginfo=colors))
    keep("jxl", lambda path: path.write_bytes(imagecodecs.jpegxl_encode(np.asarray(rgba), lossless=True)))
    keep("tiff thumbnail", lambda path: write_with_thumbnail(path, deep))
    keep("heic", lambda path: pillow_heif.from_pillow(rgba).save(path, quality=80, **tags))
    keep("heic deep", lambda path: pillow_heif.from_bytes("RGB;16", (24, 20), deep.tobytes()).save(path, quality=80))
    painting, recipe = torch.rand(1, 3, 20, 24), parse_recipe(RECIPE, folder)
    states = {
        "state": DescentState(painting, 7),
        "state of a descent with momentum": DescentState(painting, 7, {"velocity": painting}),
    }
    for title, state in states.items():
        keep(title, lambda path, s=state: write_checkpoint(path, Checkpoint(s), recipe), "state")  # type: ignore[misc]
    return corpus


def write_with_thumbnail(path: Path, pixels: np.ndarray[Any, Any]) -> None:
    """Write a TIFF whose first page is a thumbnail with the picture, and a smaller one, in SubIFDs."""
    with tifffile.TiffWriter(path) as tiff:
        options: dict[str, Any] = {"photometric": "rgb", "metadata": None}
        tiff.write((pixels[::2, ::2] >> 8).astype(np.uint8), subfiletype=1, subifds=2, **options)
        tiff.write(pixels, **options)
        tiff.write(pixels[::2, ::2], subfiletype=1, **options)


INTERESTING = (0, 1, 2, 3, 4, 7, 8, 15, 16, 127, 128, 255, 256, 32767, 32768, 65535, 2**31 - 1, 2**31, 2**32 - 1)


def mutate(content: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """Return the content with one to six random mutations, most near the beginning, where headers are."""
    mutated = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        if not mutated:
            break
        end = len(mutated) if chance.random() < 0.5 else min(len(mutated), 300)
        at = chance.randrange(end)
        way = chance.randrange(9)
        if way == 0:
            mutated[at] ^= 1 << chance.randrange(8)
        elif way == 1:
            mutated[at] = chance.randrange(256)
        elif way == 2:
            length = chance.randint(1, 40)
            mutated[at : at + length] = bytes([chance.choice((0, 255, chance.randrange(256)))]) * length
        elif way == 3:
            mutated[at : at + chance.randint(1, 40)] = chance.randbytes(chance.randint(0, 40))
        elif way == 4:
            del mutated[chance.randrange(len(mutated)) :]
        elif way == 5:
            other = chance.choice(others)
            start = chance.randrange(len(other))
            mutated[at:] = other[start : start + chance.randint(1, len(other))]
        elif way == 6:
            copied = mutated[at : at + chance.randint(1, 200)]
            there = chance.randrange(len(mutated))
            mutated[there:there] = copied
        else:  # a number in a header: two or four bytes, either byte order
            kind = chance.choice(("<H", ">H", "<I", ">I"))
            number = chance.choice(INTERESTING) % 2 ** (8 * struct.calcsize(kind))
            mutated[at : at + struct.calcsize(kind)] = struct.pack(kind, number)
    if mutated[:8] == b"\x89PNG\r\n\x1a\n" and chance.random() < 0.8:
        mend_checksums(mutated)
    return bytes(mutated)


def mend_checksums(png: bytearray) -> None:
    """Correct the checksums of a PNG's chunks in place, so that decoders read beyond them."""
    at = 8
    while at + 12 <= len(png):
        (length,) = struct.unpack_from(">I", png, at)
        if at + 12 + length > len(png):
            return
        struct.pack_into(">I", png, at + 8 + length, zlib.crc32(png[at + 4 : at + 8 + length]))
        at += 12 + length


class TooSlowError(Exception):
    """A reader took too long."""


def _alarm(*_: object) -> None:
    raise TooSlowError


def work(pipe: Connection, seconds: int, memory: float) -> None:
    """Read the files whose paths come through the pipe, and send back each outcome. A file may crash this process."""
    with quiet_libraries():
        _answer(pipe, seconds, memory)


def _answer(pipe: Connection, seconds: int, memory: float) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, _alarm)
    address_space = resource.getrlimit(resource.RLIMIT_AS)[1]
    if sys.platform == "linux":  # a generous limit as a last resort; finds are judged by the peak
        resource.setrlimit(resource.RLIMIT_AS, (int(_kilobytes("VmSize") * 1024 + 4 * memory * 1e9), address_space))
    pipe.send(_kilobytes("VmHWM") / 1e6)
    while True:
        name, path = pipe.recv()
        begun = time.monotonic()
        signal.alarm(seconds)
        try:
            READERS[name][0](path)
            outcome = "read"
        except NStyleError as error:
            outcome = "refused" if "\n" not in str(error) else "an error of several lines"
        except BaseException as error:  # noqa: BLE001  # finding these is the purpose
            outcome = f"{type(error).__name__}: {error}"[:300]
        finally:
            signal.alarm(0)
        pipe.send((outcome, time.monotonic() - begun, _kilobytes("VmHWM") / 1e6))


def _kilobytes(name: str) -> int:
    """Return a number in kB from /proc/self/status, such as VmHWM; 0 if the system does not have it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1])
    return 0


class Worker:
    """A process that reads files. It is replaced if it dies or hangs."""

    def __init__(self, seconds: int, memory: float) -> None:
        self.seconds, self.memory = seconds, memory
        self.start()

    def start(self) -> None:
        """Start a process and the pipe to it, and set `idle` to its peak memory in GB before any reading."""
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=work, args=(theirs, self.seconds, self.memory), daemon=True)
        self.process.start()
        theirs.close()
        self.idle = float(self.pipe.recv())

    def read(self, name: str, path: Path) -> tuple[str, float, float]:
        """Return the outcome, the seconds, and the process's peak memory so far in GB."""
        self.pipe.send((name, path))
        try:
            if self.pipe.poll(self.seconds + 60):
                outcome, seconds, peak = self.pipe.recv()
                return str(outcome), float(seconds), float(peak)
            self.process.kill()
            outcome = "TooSlowError: does not react to signals"
        except EOFError:
            outcome = ""
        self.process.join()
        code = self.process.exitcode
        self.start()
        return outcome or f"the process died: {code}", 0.0, 0.0


def cases(corpus: Corpus, readers: list[str], count: int, seed: int) -> Iterator[tuple[str, str, bytes]]:
    """Yield (reader, name of the valid file, content): first each valid file itself, then `count` mutated ones."""
    chance = random.Random(seed)  # noqa: S311  # not for security
    suitable = {name: [file for file, (kind, _) in corpus.items() if kind == READERS[name][1]] for name in readers}
    for name in readers:
        for file in suitable[name]:
            yield name, file, corpus[file][1]
    for number in range(count):
        name = readers[number % len(readers)]
        file = chance.choice(suitable[name])
        yield name, file, mutate(corpus[file][1], [corpus[other][1] for other in suitable[name]], chance)


def main() -> int:
    """Fuzz the readers, print a report, and return 1 if there are finds."""
    assert __doc__ is not None  # noqa: S101
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--count", type=int, default=20000, help="number of mutated files (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", action="append", choices=READERS, help="may be repeated (default: all)")
    parser.add_argument("--memory", type=float, default=1.5, help="maximum GB to read a file (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=20, help="maximum seconds per file (default: %(default)s)")
    parser.add_argument("--save", type=Path, default=Path("output/fuzz"), help="folder for finds (%(default)s)")
    chosen = parser.parse_args()
    readers = chosen.reader or list(READERS)

    outcomes: Counter[tuple[str, str]] = Counter()
    finds, peak, slowest = 0, 0.0, (0.0, "")
    with tempfile.TemporaryDirectory() as folder:
        corpus = make_corpus(Path(folder))
        path = Path(folder) / "mutated"
        worker = Worker(chosen.seconds, chosen.memory)
        valid = sum(corpus[file][0] == READERS[name][1] for name in readers for file in corpus)
        for number, (name, file, content) in enumerate(cases(corpus, readers, chosen.count, chosen.seed)):
            path.write_bytes(content)
            outcome, seconds, peak_now = worker.read(name, path)
            if number < valid and outcome != "read":
                outcome = f"a valid file cannot be read: {outcome}"
            if peak_now > peak:
                peak = peak_now
                if peak - worker.idle > chosen.memory:
                    outcome += f", {peak - worker.idle:.1f} GB"
            slowest = max(slowest, (seconds, f"{name}, {file}, {number}"))
            outcomes[name, outcome.split(":")[0]] += 1
            if outcome not in ("read", "refused"):
                finds += 1
                chosen.save.mkdir(parents=True, exist_ok=True)
                saved = chosen.save / f"{chosen.seed}_{number}_{file.replace(' ', '_')}"
                saved.write_bytes(content)
                print(f"{saved} by {name}: {outcome}", flush=True)
            if number % 2000 == 0 and sys.stderr.isatty():
                print(f"{number} ...", end="\r", file=sys.stderr)
        worker.process.kill()

    print(f"{chosen.count} mutated files from {len(corpus)} valid ones, seed {chosen.seed}")
    for (name, outcome), number in sorted(outcomes.items()):
        print(f"{name:18} {outcome:12} {number}")
    print(f"peak memory: {peak:.2f} GB, including {worker.idle:.2f} GB before reading")
    print(f"slowest: {slowest[0]:.2f} s ({slowest[1]})")
    print(f"finds: {finds}")
    return 1 if finds else 0


if __name__ == "__main__":
    sys.exit(main())
