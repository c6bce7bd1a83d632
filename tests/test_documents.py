"""README and docs: every command and every Python example runs, small; links, flags and sizes are right."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
from films import scene, write_video
from pictures import painted
from PIL import Image

import nstyle
import nstyle.painter.train  # now, because the sandbox replaces the class that its annotations name
from nstyle.commands import paint, train, view
from nstyle.commands.flags import build_parser
from nstyle.painter.generators import make_generator
from nstyle.painter.painter_file import write_painter
from nstyle.painting import session
from nstyle.painting.session import Session

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

NOT_RUN = {
    "pip install": "needs a network",
    "sh scripts/demo.sh": "installs, which needs a network",
    "sh scripts/test.sh": "would run this test",
    ".ci/run": "would run this test",
    "sh scripts/download_vgg19.sh": "needs a network",
    "nstyle photo.jpg painting.jpg --weights vgg19.params": "needs what download_vgg19.sh fetches",
    "nstyle photo.jpg painting.jpg --weights torchvision": "needs a network",
    "dask": "needs a cluster",
    "nstyle --content-image photos/ --style-image styles/ --cluster": "needs a cluster",
}
"""Commands that begin so are not run, and why. Those of nstyle are parsed, and scripts must be there."""

SHRUNK, SHORTEST, FEWER = 16, 16, 1000
"""What sizes are divided by, the fewest pixels that are left, and what numbers of epochs are divided by."""

TRAINED_SMALL = "--steps 1 --max-long-edge 32 --crop-edge 32 --batch-size 1 --generator small --width 2 --overwrite"
"""Flags that make a training as small as a test can have it, and replace the painter that the sandbox has already."""

SHARED = cache(partial(Session, owns_process=True))
"""Makes one session for all commands: the network is loaded once."""

PICTURES = (
    *("photo.jpg", "painting.jpg", "a.jpg", "b.jpg", "oil.jpg", "ink.jpg", "tiles.png", "mosaic.png", "sky.png"),
    *("photos/cat.jpg", "photos/town.jpg", "styles/oil.jpg"),
)
"""The pictures that the documents name; masks come besides."""


def blocks(document: Path, *languages: str) -> list[tuple[str, str]]:
    """Return language and text of each fenced block in one of these languages."""
    found: list[tuple[str, str]] = BLOCK.findall(document.read_text(encoding="utf-8"))
    return [block for block in found if block[0] in languages]


def commands(text: str) -> list[list[str]]:
    """Return the words of each command of a shell block, without comments and variables before the command."""
    lines = text.replace("\\\n", " ").splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    return [[*_without_variables(command)] for command in words if command]


def _without_variables(command: list[str]) -> list[str]:
    return _without_variables(command[1:]) if re.match(r"[A-Z_]+=", command[0]) else command


def reason_not_to_run(command: list[str]) -> str | None:
    """Return the key in `NOT_RUN` that the command begins with."""
    return next((start for start in NOT_RUN if " ".join(command).startswith(start)), None)


def smaller(name: str, value: str) -> str:
    """Return a size or number of epochs as small as a test can have it; other values as they are."""
    if name in ("max_long_edge", "size", "coarsest_edge"):
        return re.sub(r"\d+", lambda number: str(max(SHORTEST, int(number[0]) // SHRUNK)), value)
    if name == "max_num_epochs":
        return re.sub(r"\d+", lambda number: str(max(1, int(number[0]) // FEWER)), value)
    return value


def small_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return Python's options, small."""
    default = {} if "recipe" in options else {"max_long_edge": 600, "max_num_epochs": 1000}
    if "painter" in options:
        del default["max_num_epochs"]
    numbers = {name: int(smaller(name, str(value))) for name, value in default.items()}
    given = {name: int(smaller(name, str(value))) if name in default else value for name, value in options.items()}
    return numbers | given


def small_flags(words: list[str]) -> list[str]:
    """Return the command's flags, small. What follows a recipe has its sizes."""
    flags = [
        smaller(before.removeprefix("--").replace("-", "_"), word)
        for before, word in zip(["", *words], words, strict=False)
    ]
    if "--recipe" not in words:
        missing = {"--max-long-edge": str(600 // SHRUNK), "--max-num-epochs": "0" if "--painter" in words else "1"}
        flags += [word for name, value in missing.items() if name not in words for word in (name, value)]
    return flags


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with the pictures that the documents name, and functions that paint them small."""
    for seed, name in enumerate(PICTURES):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        painted(64, 64, seed=seed).save(tmp_path / name)
    (tmp_path / "models").mkdir()
    write_painter(tmp_path / "models" / "oil.safetensors", make_generator("small", width=2, blocks=1), {})
    write_video(tmp_path / "clip.mp4", scene(6, 32, 48))
    (tmp_path / "frames").mkdir()
    for number, frame in enumerate(scene(3, 32, 48)):
        Image.fromarray(frame).save(tmp_path / "frames" / f"{number}.png")
    left = Image.linear_gradient("L").resize((64, 64)).rotate(90)
    for name, mask in (("left", left), ("right", left.rotate(180)), ("background", left)):
        mask.save(tmp_path / f"{name}.png")
    for folder in ("input", "scripts"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    for name, late in (
        ("Config", nstyle.Config),
        ("stylize", nstyle.stylize),
        ("stylize_film", nstyle.stylize_film),
        ("stylize_many", nstyle.stylize_many),
        ("estimate", nstyle.estimate),
        ("descend", nstyle.descend),
    ):
        monkeypatch.setitem(vars(nstyle), name, _small(late, of_files=name != "descend"))
    monkeypatch.setitem(vars(nstyle), "train_painter", partial(_train_small, nstyle.train_painter))
    monkeypatch.setattr(session, "Session", lambda owns_process: SHARED())
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    modules = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def _small(function: Any, *, of_files: bool) -> Any:
    def small(*args: Any, **options: Any) -> Any:
        return function(*args, **(small_options(options) if of_files else options | {"max_num_epochs": 1}))

    return small


def _train_small(train_painter: Any, *args: Any, **options: Any) -> Any:
    arguments = vars(train.build_parser().parse(shlex.split(TRAINED_SMALL)))
    small = {name: value for name, value in arguments.items() if name not in ("photos", "quiet", "verbose")}
    return train_painter(*args, **options | small)


def run_command(command: list[str], folder: Path) -> None:
    """Run one command in this process; a script in one of its own."""
    match command:
        case ["nstyle", *words]:
            assert paint.main(small_flags(words)) == 0, command
        case ["nstyle-train", *words]:
            assert train.main([*words, *shlex.split(TRAINED_SMALL)]) == 0, command
        case ["nstyle-view", *words]:
            assert view.main(words) == 0, command
        case ["sh", script, *words]:
            program = folder / "small-nstyle"
            program.write_text(f'#!/bin/sh\nexec {sys.executable} -m nstyle "$@"\n', encoding="utf-8")
            program.chmod(0o755)
            environment = {**os.environ, "NSTYLE": str(program), "PYTHONPATH": str(ROOT)}
            subprocess.run(["/bin/sh", script, *small_flags(words)], env=environment, check=True)
        case _:
            pytest.fail(f"no way to run {shlex.join(command)}: run it here, or give a reason in NOT_RUN")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_and_examples_run_one_after_the_other(document: Path, sandbox: Path) -> None:
    names: dict[str, Any] = {"__name__": "example"}
    for language, text in blocks(document, "sh", "python"):
        if language == "sh":
            for command in commands(text):
                if reason_not_to_run(command) is None:
                    run_command(command, sandbox)
        elif module := re.match(r"# (\w+\.py)\n", text):
            (sandbox / module[1]).write_text(text, encoding="utf-8")
        else:
            exec(compile(text, document.name, "exec"), names)  # noqa: S102  # our own


def test_what_is_not_run_is_there() -> None:
    left_out = set()
    for document in DOCUMENTS:
        for _, text in blocks(document, "sh"):
            for command in commands(text):
                if (start := reason_not_to_run(command)) is None:
                    continue
                left_out.add(start)
                if command[0] == "nstyle":
                    build_parser().parse(command[1:])
                elif command[0] == "sh":
                    assert (ROOT / command[1]).is_file(), command
    assert left_out == set(NOT_RUN)


def test_blocks_name_a_language_that_is_run() -> None:
    for document in DOCUMENTS:
        languages = {language for language, _ in BLOCK.findall(document.read_text(encoding="utf-8"))}
        assert languages <= {"sh", "python"}, document


def test_sizes() -> None:
    readme = DOCUMENTS[0].read_text(encoding="utf-8")
    assert len(readme.splitlines()) <= 180
    assert len(readme.split()) <= 2000
    generated = {"flags.md"}
    for document in DOCUMENTS[1:]:
        lines = document.read_text(encoding="utf-8").splitlines()
        assert len(lines) <= 200 or document.name in generated, document


def headings(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    text = BLOCK.sub("", document.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
        if re.match(r"https?:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (document.parent / name) if name else document
        assert path.exists(), target
        assert not anchor or anchor in headings(path), target


def test_every_page_is_linked_from_the_readme() -> None:
    readme = DOCUMENTS[0].read_text(encoding="utf-8")
    assert [path.name for path in DOCUMENTS[1:] if f"docs/{path.name}" not in readme] == []


def test_flags_exist() -> None:
    known = {
        name
        for build in (build_parser, train.build_parser, view.build_parser)
        for name in build()._option_string_actions
    }
    known |= {"--index-url", "--nthreads", "--no-cov", "--strict"}  # of pip, dask, pytest, mypy
    for document in DOCUMENTS:
        named = re.findall(r"(?<![\w-])--[a-z][a-z0-9_-]*", document.read_text(encoding="utf-8"))
        assert {name.replace("_", "-") for name in named} <= known, document


def test_every_picture_shown_is_made_by_a_script() -> None:
    table = re.findall(
        r"^\| (.*?) \| `sh (scripts/\S+\.sh)", (ROOT / "docs/gallery.md").read_text("utf-8"), re.MULTILINE
    )
    made = [name for cell, script in table if (ROOT / script).is_file() for name in re.findall(r"`([^`]+)`", cell)]
    shown = {
        Path(target).stem
        for document in DOCUMENTS
        for target in re.findall(r"!\[[^\]]*\]\((?:docs/)?gallery/([^)]+)\)", document.read_text(encoding="utf-8"))
    }
    assert [picture for picture in sorted(shown) if not any(fnmatch(picture, name) for name in made)] == []
