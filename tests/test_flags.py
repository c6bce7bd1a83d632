"""Flags: names without flags, suggestions, defaults in --help, completion, the page of flags."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pictures import painted
from recipes import recipe
from refusals import refuses

import flags_page
from nstyle.commands import paint, view
from nstyle.commands.flags import DEFAULTS, build_parser, take_names
from nstyle.commands.paint import main
from nstyle.errors import Kind, OptionError
from nstyle.files import sha256
from nstyle.painting.selection import expand
from nstyle.settings.config import Config
from nstyle.settings.groups import EVERYDAY
from nstyle.settings.options import nearest, option
from nstyle.settings.presets import PRESETS
from nstyle.settings.suggestions import OTHER_NAMES, nearest_flag


def settings(*argv: str) -> dict[str, Any]:
    """The settings that the command makes of its arguments, before any default."""
    arguments = vars(build_parser().parse(argv))
    take_names(arguments)
    return arguments


def error_of(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that the command answers with, and exit code 2."""
    try:
        code = main(argv)
    except SystemExit as stop:
        code = int(stop.code or 0)
    error = capsys.readouterr().err
    assert (code, error.count("\n")) == (2, 1), error
    return error


def test_two_names_are_content_and_style() -> None:
    for argv in (
        ["a.jpg", "b.jpg", "--preset", "fast"],
        ["--preset", "fast", "a.jpg", "b.jpg"],
        ["a.jpg", "--preset", "fast", "b.jpg"],
    ):
        found = settings(*argv)
        assert (found["content_image"], found["style_image"], found["preset"]) == ("a.jpg", "b.jpg", "fast"), argv


def test_two_names_paint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    painted(32, 24, seed=1).save("photo.png")
    painted(20, 20, seed=2).save("painting.png")
    assert main(["photo.png", "painting.png", "--max-long-edge", "24", "--max-num-epochs", "1", "--quiet"]) == 0
    assert (tmp_path / "output" / "final.jpg").exists()


@pytest.mark.parametrize(
    ("argv", "kind", "flag"),
    [
        (["a.jpg"], Kind.MISSING, "--style-image"),
        (["a.jpg", "b.jpg", "c.jpg"], Kind.UNSUPPORTED, "--content-image"),
        (["a.jpg", "b.jpg", "--style-image", "c.jpg"], Kind.CONFLICT, "--style-image"),
        (["a.jpg", "--content-image=c.jpg"], Kind.CONFLICT, "--content-image"),
    ],
)
def test_names_that_are_not_a_pair(argv: list[str], kind: Kind, flag: str) -> None:
    with refuses(OptionError, kind=kind, flag=flag) as refused:
        settings(*argv)
    assert "nstyle photo.jpg painting.jpg" in str(refused.value) or "--content-image A B" in str(refused.value)


def test_enlarging_can_be_turned_on_and_off() -> None:
    assert [settings(*argv).get("enlarge") for argv in (["--no-enlarge"], ["--enlarge"], [])] == [False, True, None]


def test_pictures_may_be_named_by_several_flags() -> None:
    found = settings("--content-image", "a.jpg", "--style_image=s.jpg", "--content-image", "b.jpg", "c.jpg")
    assert (found["content_image"], found["style_image"]) == (["a.jpg", "b.jpg", "c.jpg"], ["s.jpg"])


@pytest.mark.parametrize(
    "argv",
    [
        ["--lr", "1.5", "--preset=fast", "--lr=2.5"],
        ["--seed", "0", "--seed", "0", "--seed", "1"],
        ["--output-dir", "a", "--output_dir", "gone/b"],
        ["--cluster", "a", "--cluster", "b"],
        ["--mask", "a.png", "--mask", "b.png"],
    ],
)
def test_a_value_that_a_later_one_replaces_is_named(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*argv, "gone.jpg", "--style-image", "s.jpg"]) == 2  # nothing is painted
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"warning: {argv[0]} is given as {argv[1]} and as ")
    assert line.endswith(f"{argv[-1].partition('=')[2] or argv[-1]}: the last counts")
    assert main([*argv, "gone.jpg", "--quiet", "--style-image", "s.jpg"]) == 2
    assert main([*argv[:2], *argv[:2], "gone.jpg", "--style-image", "s.jpg"]) == 2
    assert capsys.readouterr().out == ""


def test_the_viewer_names_it_too(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert view.main(["--every", "2", str(tmp_path), "--every", "3"]) == 1
    assert capsys.readouterr().out == "warning: --every is given as 2.0 and as 3.0: the last counts\n"


def test_underscores_are_hyphens_in_flags_alone() -> None:
    found = settings("--style_image", "my_style.jpg", "--content_image=my_photo.jpg", "--lr_sched_delay", "5")
    assert (found["style_image"], found["content_image"]) == (["my_style.jpg"], ["my_photo.jpg"])
    assert found["lr_sched_delay"] == 5


def test_words_after_a_double_hyphen_stay_as_typed() -> None:
    for argv in (
        ["--", "--my_photo.jpg", "--style_image"],
        ["--lr_sched_delay=5", "--", "-my_photo.jpg", "b_c.jpg"],
    ):
        found = settings(*argv)
        assert [Path(found["content_image"]), Path(found["style_image"])] == [*map(Path, argv[-2:])], argv
    found = settings("a_b.jpg", "--preset", "fast", "--", "--b_c.jpg")
    assert (found["content_image"], Path(found["style_image"])) == ("a_b.jpg", Path("--b_c.jpg"))


@pytest.mark.parametrize(
    ("argv", "flag"),
    [
        (["--style-image", "oil.jpg", "photo.jpg"], "--style-image"),
        (["--style-image", "oil.jpg", "ink.jpg", "photo.jpg", "--preset", "fast"], "--style-image"),
        (["--content-image", "photo.jpg", "oil.jpg"], "--content-image"),
        (["--style-image", "oil.jpg", "photo.jpg", "--sweep", "tv-weight=1,2"], "--style-image"),
        (["--content-image", "photo.jpg", "oil.jpg", "--cluster", "nowhere"], "--content-image"),
    ],
)
def test_a_flag_does_not_swallow_the_other_picture(
    argv: list[str], flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    error = error_of(argv, capsys)
    assert f"{flag} names {argv.index('photo.jpg') if flag == '--style-image' else 2} pictures" in error
    assert "write --content-image photo.jpg --style-image oil.jpg" in error
    with refuses(OptionError, kind=Kind.MISSING, flag=flag):
        paint._pictures(settings(*[word for word in argv if word != "--sweep" and "=" not in word]))


@pytest.mark.parametrize(
    ("argv", "pictures"),
    [
        (["--style-image", "oil.jpg"], (Config.content_image, ["oil.jpg"])),
        (["--content-image", "photos/"], (["photos/"], Config.style_image)),
        (["--style-image", "*.jpg"], (Config.content_image, ["*.jpg"])),
        (["--style-image", "a.jpg", "b.jpg", "--content-image", "c.jpg"], (["c.jpg"], ["a.jpg", "b.jpg"])),
        (["--style-image", "a.jpg", "b.jpg", "--size", "64x64"], (Config.content_image, ["a.jpg", "b.jpg"])),
        (["c.jpg", "a.jpg"], ("c.jpg", "a.jpg")),
        (["a.jpg", "--size", "64x64"], (Config.content_image, "a.jpg")),
        ([], (Config.content_image, Config.style_image)),
    ],
)
def test_the_sample_is_the_other_picture_of_one(argv: list[str], pictures: tuple[Any, Any]) -> None:
    assert paint._pictures(settings(*argv)) == pictures


def test_a_recipe_names_the_other_picture(tmp_path: Path) -> None:
    path, photo = tmp_path / "run.json", tmp_path / "photo.jpg"
    photo.write_bytes(b"a photo")
    path.write_text(recipe(Config(content_image=photo), content=sha256(photo)).text())
    command = build_parser().parse(["--recipe", str(path), "--style-image", "oil.jpg", "ink.jpg"])
    _, complete = paint._recipe(command)
    assert paint._pictures(complete({"style_image": command.style_image})) == (str(photo), ["oil.jpg", "ink.jpg"])


def test_an_empty_name_is_seen(capsys: pytest.CaptureFixture[str]) -> None:
    assert "'' is only one picture" in error_of([""], capsys)
    assert "'' and --style-image do not go together" in error_of(["", "--style-image", "a.jpg"], capsys)


def test_a_texture_has_no_content(capsys: pytest.CaptureFixture[str]) -> None:
    assert "name one picture" in error_of(["a.jpg", "b.jpg", "--size", "64x64", "--content-weight", "0"], capsys)


def test_too_many_names_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert "'a.jpg' 'b.jpg' '5': these are 3 names" in error_of(["a.jpg", "b.jpg", "5"], capsys)


def test_a_folder_to_write_is_no_url(capsys: pytest.CaptureFixture[str]) -> None:
    assert "choose a folder of this machine" in error_of(["--output-dir", "s3://bucket/x"], capsys)


def test_a_sweep_of_a_misspelled_flag(capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean strength?" in error_of(["--sweep", "strenght=20,80"], capsys)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_a_completion_script_that_cannot_be_written() -> None:
    pytest.importorskip("shtab")
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "nstyle", "--print-completion", "bash"]
        answer = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert answer.returncode == 1
    assert answer.stderr.startswith("nstyle: error: standard output cannot be written")
    assert answer.stderr.count("\n") == 1


def test_an_unknown_flag_is_quoted_as_typed(capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is no flag --styl_image; did you mean --style-image?" in error_of(["--styl_image=a_b"], capsys)


@pytest.mark.parametrize(
    ("argv", "near"),
    [
        (["--styl-image", "a.jpg"], "--style-image"),
        (["--style", "a.jpg"], "--style-image"),
        (["--preserve_colours=luma"], "--preserve-colors"),
        (["--preset", "paintrly"], "painterly"),
        (["--optimizer", "LBFGS"], "lbfgs"),
        (["--image-format", "jpeg"], "jpg"),
    ],
)
def test_the_nearest_flag_or_choice_is_named(argv: list[str], near: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"did you mean {near}?" in error_of(argv, capsys)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        *(
            (name, "max-num-epochs")
            for name in ("epochs", "iterations", "num_iterations", "max-epochs", "num-epochs")
        ),
        *((name, "max-long-edge") for name in ("image-size", "image_size", "width", "edge", "long-edge", "max-long")),
        *((name, "content-image") for name in ("content", "input", "content-img")),
        *((name, "style-image") for name in ("style", "styles", "stile-image")),
        *((name, "output-dir") for name in ("output", "out", "output-image", "o")),
        *((name, "device") for name in ("cpu", "cuda")),
        *((name, "preserve-colors") for name in ("original_colors", "colors", "preserve-colours")),
        *(("learning-rate", "lr"), ("lr-rate", "lr"), ("gpus", "device"), ("random-seed", "seed"), ("Seed", "seed")),
        *(("mask-image", "mask"), ("save-every", "save-epochs"), ("contentweight", "content-weight")),
    ],
)
def test_what_people_know_from_elsewhere_is_understood(name: str, meant: str) -> None:
    assert nearest_flag(f"--{name}", build_parser()._option_string_actions) == f"; did you mean --{meant}?"


def test_several_flags_may_be_meant() -> None:
    flags = build_parser()._option_string_actions
    assert nearest_flag("--layers", flags) == "; did you mean --content-layers or --style-layers?"
    assert nearest_flag("--weight", flags).count("weight") == 7
    for name in ("--threads", "--backend", "--patch", "--s", "--", "-", ""):
        assert nearest_flag(name, flags) == ""


def test_one_hyphen_is_as_good_as_two(capsys: pytest.CaptureFixture[str]) -> None:
    """As in the first program of this kind, which was written in Lua."""
    for name, meant in (
        ("-image_size", "--max-long-edge"),
        ("-gpu", "--gpu"),
        ("-help", "--help"),
        ("-o", "--output-dir"),
    ):
        assert f"there is no flag {name}; did you mean {meant}?" in error_of([name, "5"], capsys)
    assert "did you mean max-num-epochs?" in error_of(["--sweep", "epochs=2,3"], capsys)


def test_other_names_are_of_flags_that_exist() -> None:
    both = [set(parser._option_string_actions) for parser in (build_parser(), view.build_parser())]
    assert {f"--{flag}" for flag in OTHER_NAMES} <= set.union(*both)
    for known in both:
        others = [name for flag, names in OTHER_NAMES.items() if f"--{flag}" in known for name in names.split()]
        assert len(others) == len(set(others))
        assert not {f"--{name}" for name in others} & known


def test_nothing_is_suggested_if_nothing_is_near(capsys: pytest.CaptureFixture[str]) -> None:
    assert nearest("xyzzy", PRESETS) == ""
    assert "did you mean" not in error_of(["--xyzzy"], capsys)
    assert "did you mean" not in error_of(["--preset", "xyzzy"], capsys)


@pytest.mark.parametrize("flag", ["--content-image", "--mask", "--init", "--weights", "--recipe"])
def test_a_url_is_not_a_file(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    url = "https://example.org/photo.jpg?size=large"
    error = error_of([flag, url], capsys)
    assert error == f"nstyle: error: {flag} {url}: nstyle reads files, not URLs: download it first\n"


def test_a_url_is_refused_in_python_too() -> None:
    for url in ("http://example.org/a.jpg", Path("https://example.org/a.jpg"), "FILE:///a.jpg"):
        with refuses(OptionError, kind=Kind.UNSUPPORTED, flag="--mask"):
            Config(mask=url)  # type: ignore[arg-type]  # the point of the test
        with refuses(OptionError, kind=Kind.UNSUPPORTED, flag="--style-image"):
            expand("style_image", url)


def test_several_gpus_are_for_a_cluster(capsys: pytest.CaptureFixture[str]) -> None:
    error = error_of(["--gpu", "0,1"], capsys)
    assert "one GPU" in error
    assert "--cluster" in error
    assert "--cluster" not in error_of(["--gpu", "500"], capsys)


def test_help_begins_with_examples_and_everyday_flags(capsys: pytest.CaptureFixture[str]) -> None:
    assert error_free_help(capsys).count("\n  nstyle ") == 3
    everyday = [group for group in build_parser()._action_groups if group.title == EVERYDAY]
    names = {action.dest for group in everyday for action in group._group_actions}
    six = {"content_image", "style_image", "preset", "strength", "max_long_edge", "output_dir"}
    assert names == {"pictures", *six}


def error_free_help(capsys: pytest.CaptureFixture[str]) -> str:
    """What --help prints before the second group of flags."""
    with pytest.raises(SystemExit) as stopped:
        build_parser().parse(["--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    head, heading, rest = text.partition(f"{EVERYDAY}:")
    assert heading
    assert rest.index("--output-dir") < rest.index("--style-scale")
    return head


def test_defaults_in_help_are_those_of_each_preset() -> None:
    assert DEFAULTS["content_weight"] == "10; painterly: 1; fast: 0.15"
    assert DEFAULTS["style_fit"] == "stretch; painterly, fast: area"
    assert DEFAULTS["style_loss"] == "gram; painterly: wasserstein"
    painterly, fast = (",".join(map(str, PRESETS[name]["max_num_epochs"])) for name in ("painterly", "fast"))
    assert DEFAULTS["max_num_epochs"] == f"1000; painterly: {painterly}; fast: {fast}; with --painter: 0"
    assert (DEFAULTS["seed"], DEFAULTS["seamless"], DEFAULTS["mask"]) == ("0", "", "")
    assert DEFAULTS["scales"].startswith("1 for gram, ")
    assert DEFAULTS["coarsest_edge"] == "off; painterly: 64; fast: 128"
    assert DEFAULTS["scale_factor"] == "2; painterly: the square root of 2"
    assert [PRESETS[name]["scale_factor"] for name in PRESETS] == [2, 2**0.5, 2]
    for name in PRESETS["reference"]:
        assert DEFAULTS[name], name
    for field in dataclasses.fields(Config):
        assert "default:" not in option(field).help, field.name


def test_completion_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("shtab")
    assert main(["--print-completion", "bash"]) == 0
    script = capsys.readouterr().out
    code = f"""{script}
        COMP_WORDS=(nstyle "$@"); COMP_CWORD=$#; _shtab_nstyle; echo "${{COMPREPLY[@]}}" """

    def completed(*words: str) -> list[str]:
        line = ["bash", "-c", code, "bash", *words]
        done = subprocess.run(line, capture_output=True, text=True, check=True, cwd=flags_page.PAGE.parent)
        assert done.stderr == ""
        return done.stdout.split()

    assert completed("--max-lo") == ["--max-long-edge"]
    assert completed("--preset", "") == list(PRESETS)
    assert completed("--style-image", "fla") == ["flags.md"]
    assert completed("a.jpg", "fla") == ["flags.md"]
    assert completed("--init", "fla") == completed("--weights", "fla") == ["flags.md"]
    assert completed("--scales", "a") == ["auto"]
    assert "zsh" in error_of(["--print-completion", "ksh"], capsys)


def test_completion_without_its_package(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install 'nstyle[completion]'" in error_of(["--print-completion", "bash"], capsys)


def test_the_page_of_flags_is_up_to_date() -> None:
    assert flags_page.PAGE.read_text(encoding="utf-8") == flags_page.page(), "run python scripts/flags_page.py"
