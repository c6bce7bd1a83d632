"""`nstyle --painter`: painting in one pass, as every other painting."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pictures import painted
from PIL import Image
from refusals import refuses

import nstyle
from nstyle import DeviceError, OptionError, WeightsError, stylize, stylize_many
from nstyle.commands import view
from nstyle.commands.paint import main
from nstyle.devices import reusing_freed_memory
from nstyle.errors import Kind
from nstyle.networks.model_space import from_model_space, to_model_space
from nstyle.painter.generators import make_generator
from nstyle.painter.graph import Generator
from nstyle.painter.one_pass import OnePass, load_painter
from nstyle.painter.painter_file import read_painter, write_painter
from nstyle.painter.run import painter_of
from nstyle.painter.tiles import TILINGS, paint, paintings
from nstyle.painting.finish import COLORS_BYTES, Finish
from nstyle.painting.one_pass import prepare_one_pass
from nstyle.painting.painters import PAINTED_BYTES, PICTURE_BYTES, STAGE_BYTES, choose_pass, pass_in
from nstyle.painting.session import Session
from nstyle.pictures.decode import read_picture
from nstyle.pictures.picture import to_uint8
from nstyle.settings import painters
from nstyle.settings.config import Config
from nstyle.settings.effects import OF_THE_OPTIMIZER
from nstyle.view.runs import read_run

SMALL: dict[str, Any] = {"max_long_edge": 48, "image_format": "png"}


def network(seed: int = 0) -> Generator:
    torch.manual_seed(seed)
    return make_generator("small", width=4, blocks=1).eval()


@pytest.fixture
def painter(tmp_path: Path) -> Path:
    path = tmp_path / "models" / "y.safetensors"
    path.parent.mkdir()
    write_painter(path, network(), {})
    return path


@pytest.fixture
def photo(pair: tuple[Path, Path]) -> Path:
    return pair[0]


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse to load VGG-19 and any other network of the objective."""

    def refuse(*_: object) -> None:
        raise AssertionError("a network was loaded")

    monkeypatch.setattr("nstyle.painting.session.load_model", refuse)


def by_hand(painter: Path, photo: Path) -> np.ndarray[Any, Any]:
    """The painting without the program around it, in 8 bits."""
    image = paint(read_painter(painter).generator, to_model_space(read_picture(photo).rgb))
    return np.rint(from_model_space(image) * 255).astype(np.uint8)


def record(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return found


@pytest.mark.usefixtures("no_network")
def test_a_painter_paints_without_network_and_style(painter: Path, photo: Path, tmp_path: Path) -> None:
    result = stylize(photo, painter=painter, output_dir=tmp_path / "out", **SMALL)
    assert (result.epochs, result.stop_reason) == (0, "one pass")
    assert np.array_equal(np.asarray(Image.open(result.path)), by_hand(painter, photo))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["final.png", "run.json"]
    facts = record(tmp_path / "out")
    assert facts["stop_reason"] == "one pass"
    assert set(facts["inputs"]) == {"content_image", "painter"}
    assert facts["inputs"]["painter"]["sha256"] == read_painter(painter).sha256


@pytest.mark.usefixtures("no_network")
def test_a_painter_of_the_program_is_known_by_its_name(
    painter: Path, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(painters, "PAINTERS", painter.parent)
    result = stylize(photo, painter="y", output_dir=tmp_path / "out", **SMALL)
    assert record(tmp_path / "out")["settings"]["painter"] == "y"
    again = stylize(recipe=result.path, output_dir=tmp_path / "again")
    assert np.array_equal(again.rgb, result.rgb)


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    """A chain of three generators whose batch norms have seen pictures."""
    torch.manual_seed(0)
    made = make_generator("boosted", width=4, blocks=3)
    with torch.no_grad():
        made(50 * torch.randn(2, 3, 40, 40))
    path = tmp_path / "chain.safetensors"
    write_painter(path, made.eval(), {})
    return path


@pytest.mark.usefixtures("no_network")
def test_a_chain_paints_a_picture_a_stage(chain: Path, photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = stylize(photo, painter=chain, output_dir=out, preserve_colors="luma", **SMALL)
    names = ["e_1.png", "e_2.png", "e_3.png", "final.png"]
    assert sorted(path.name for path in out.iterdir()) == [*names, "run.json"]
    assert record(out)["pictures"] == names
    image = to_model_space(read_picture(photo).rgb)
    for name, painting in zip(names, paintings(read_painter(chain).generator, image), strict=False):
        finished = Finish(read_picture(photo), "luma")(painting, 0)
        assert np.array_equal(np.asarray(Image.open(out / name)), to_uint8(finished.rgb))
    assert np.array_equal(np.asarray(Image.open(out / "e_3.png")), result.rgb)
    again = stylize(recipe=out / "e_1.png", output_dir=tmp_path / "again")
    first, repeated = (np.asarray(Image.open(folder / "e_1.png")) for folder in (out, tmp_path / "again"))
    assert np.array_equal(repeated, first)
    assert np.array_equal(again.rgb, result.rgb)


def test_pictures_of_stages_go_with_their_run(chain: Path, painter: Path, photo: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {**SMALL, "output_dir": tmp_path / "out"}
    stylize(photo, painter=chain, **settings)
    stylize(photo, painter=painter, overwrite=True, **settings)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["final.png", "run.json"]
    stylize(photo, painter=chain, overwrite=True, **settings)
    assert len(list((tmp_path / "out").iterdir())) == 5
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "e_2.png").write_bytes(b"the user's own")
    with refuses(nstyle.OutputError, kind=Kind.IN_THE_WAY, path=tmp_path / "other" / "e_2.png", flag="--output-dir"):
        stylize(photo, painter=chain, **settings | {"output_dir": tmp_path / "other"})


def test_the_viewer_shows_the_stages(chain: Path, photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    stylize(photo, painter=chain, output_dir=out, **SMALL)
    snapshots = read_run(out).snapshots
    assert [(one.path.name, one.epoch, one.is_of_stage) for one in snapshots] == [
        *((f"e_{number}.png", number, True) for number in (1, 2, 3)),
        ("final.png", 0, False),
    ]
    assert view.main([str(out), "--sheet"]) == 0
    assert '"stage":true' in (out / "index.html").read_text(encoding="utf-8")


def test_stages_that_are_kept_count_in_the_memory(chain: Path, photo: Path) -> None:
    device, chosen = torch.device("cpu"), []
    for painter in (load_painter(chain, device), OnePass(network(), device)):
        config = Config(painter="y", max_long_edge=48)
        chosen += [choose_pass(painter, (32, 48), config, device, 0, keeps_stages=keeps) for keeps in (False, True)]
    of_chain, kept, alone, alone_kept = (one.needed for one in chosen)
    assert kept == of_chain + 2 * STAGE_BYTES * 32 * 48
    assert alone_kept == alone
    config = Config(content_image=photo, painter=str(chain), max_long_edge=48)
    painter = load_painter(chain, device)
    picture = prepare_one_pass(config, painter, device, Session())
    frame = prepare_one_pass(config, painter, device, Session(), {"content_image": read_picture(photo)})
    assert picture.memory - frame.memory == 2 * STAGE_BYTES * 32 * 48
    for prepared, stages in ((picture, 3), (frame, 0)):
        start = prepared.scales[0].start
        assert len(prepared.stages) == stages
        assert not stages or prepared.stages[-1] is start


def test_a_recipe_repeats_the_picture_and_knows_the_painter_by_its_content(
    painter: Path, photo: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    result = stylize(photo, painter=painter, output_dir=tmp_path / "out", **SMALL)
    painter.rename(result.path.parent / "y.safetensors")
    again = stylize(recipe=result.path, output_dir=tmp_path / "again")
    assert np.array_equal(again.rgb, result.rgb)
    write_painter(result.path.parent / "y.safetensors", network(seed=1), {})
    with pytest.raises(nstyle.RecipeError) as refused:
        stylize(recipe=result.path, output_dir=tmp_path / "third")
    assert (refused.value.flag, refused.value.kind) == ("--painter", Kind.CONFLICT)


def test_a_painting_of_the_optimizer_is_repeated_by_a_painter_without_its_style(
    painter: Path, pair: tuple[Path, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = {**SMALL, "model": "filters", "max_num_epochs": 1, "init": pair[1]}
    first = stylize(*pair, output_dir=tmp_path / "out", precision="bfloat16", **settings)
    pair[1].unlink()
    caplog.clear()
    again = stylize(recipe=first.path, painter=painter, output_dir=tmp_path / "at_once")
    assert not [line for line in caplog.messages if "the recipe" in line]
    assert np.array_equal(again.rgb, stylize(pair[0], painter=painter, output_dir=tmp_path / "new", **SMALL).rgb)
    with refuses(nstyle.RecipeError, kind=Kind.MISSING, path=pair[1], flag="--style-image"):
        stylize(recipe=first.path, painter=painter, max_num_epochs=1, output_dir=tmp_path / "on")


def test_a_larger_size_with_a_recipe_is_painted_at_once(painter: Path, photo: Path, tmp_path: Path) -> None:
    result = stylize(photo, painter=painter, output_dir=tmp_path / "out", **SMALL)
    larger = stylize(recipe=result.path, max_long_edge=60, output_dir=tmp_path / "larger")
    assert larger.rgb.shape[:2] == (40, 60)
    assert record(tmp_path / "larger")["settings"]["preview_edge"] is None


def test_epochs_go_on_from_what_the_painter_paints(painter: Path, pair: tuple[Path, Path], tmp_path: Path) -> None:
    settings = {**SMALL, "model": "filters", "output_dir": tmp_path / "out", "painter": painter}
    seen: list[torch.Tensor] = []
    result = stylize(*pair, lambda step: seen.append(step.image.clone()), max_num_epochs=2, lr=1e-12, **settings)
    assert (result.epochs, result.stop_reason) == (2, "epochs")
    start = paint(read_painter(painter).generator, to_model_space(read_picture(pair[0]).rgb))
    torch.testing.assert_close(seen[0], start, rtol=1e-4, atol=1e-2)
    assert set(record(tmp_path / "out")["inputs"]) == {"content_image", "style_image", "painter"}
    resumed = stylize(*pair, max_num_epochs=3, lr=1e-12, resume=True, **settings)
    assert resumed.epochs == 3


def test_epochs_after_a_pass_replace_its_picture_only_if_asked(
    painter: Path, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    settings = {**SMALL, "model": "filters", "output_dir": tmp_path / "out", "painter": painter}
    stylize(*pair, **settings)
    with pytest.raises(nstyle.OutputError):
        stylize(*pair, max_num_epochs=2, **settings)
    assert stylize(*pair, max_num_epochs=2, overwrite=True, **settings).epochs == 2


@pytest.mark.usefixtures("no_network")
def test_folders_are_painted_and_finished_pictures_skipped(
    painter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(2):
        painted(32, 48, seed=i).save(photos / f"p{i}.png")
    flags = ["--content-image", str(photos), "--painter", str(painter), "--output-dir", str(tmp_path / "out")]
    flags += ["--max-long-edge", "48", "--image-format", "png"]
    assert main(flags) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"p0_y", "p0_y.png", "p1_y", "p1_y.png"}
    capsys.readouterr()
    assert main(flags) == 0
    assert "2 of them by an earlier run" in capsys.readouterr().out
    other = tmp_path / "y.safetensors"  # another painter of the same name
    write_painter(other, network(seed=1), {})
    outcomes = stylize_many(photos, "style.png", painter=other, output_dir=tmp_path / "out", **SMALL)
    assert [outcome.reason for outcome in outcomes] == [None, None]
    assert {outcome.path.parent.name for outcome in outcomes if outcome.path} == {
        "p0.png_y.safetensors",
        "p1.png_y.safetensors",
    }


def test_one_picture_needs_no_flag(painter: Path, photo: Path, tmp_path: Path) -> None:
    flags = [str(photo), "--painter", str(painter), "--output-dir", str(tmp_path / "out"), "--max-long-edge", "32"]
    assert main(flags) == 0
    assert main(flags) == 0
    assert (tmp_path / "out" / "final.jpg").is_file()


@pytest.mark.usefixtures("no_network")
def test_what_is_said_to_have_no_effect_has_none(painter: Path, photo: Path, tmp_path: Path) -> None:
    others: dict[str, Any] = {
        **{"style_image": "none.png", "style_scale": 2, "style_fit": "area", "blend_style": [("no.png", 2)]},
        **{
            "preset": "fast",
            "strength": 10,
            "content_weight": 3,
            "style_weight": 2,
            "tv_weight": 5,
            "init": "no.png",
        },
        **{
            "details": 0.5,
            "grain": 3,
            "seed": 4,
            "content_layers": "relu1_1",
            "style_layers": "relu1_1",
            "style_loss": "mrf",
        },
        **{"range_weight": 3, "balance": "relative", "pooling": "max", "padding": "mirror", "scales": 9},
        **{"scale_factor": 1.5, "stop_after": 1, "stop_eps": 0.5, "optimizer": "lbfgs", "lr": 3},
        **{"lr_sched_delay": 3, "lr_sched_factor": 0.5, "image_range": "clamped", "on_divergence": "backoff"},
        **{"model": "filters", "weights": "no.pth", "weights_input": "bgr", "precision": "bfloat16"},
        **{"convolution": "winograd", "save_epochs": 1, "remove_noise": 1, "style_mask": [("no.png", "all")] * 2},
        **{"grey": "keep", "supersampling": 2},
    }
    assert others.keys() == {*OF_THE_OPTIMIZER} - {"coarsest_edge", "preview_edge", "style_crop", "unrealness"}
    without = stylize(photo, painter=painter, output_dir=tmp_path / "without", **SMALL)
    beside = stylize(photo, painter=painter, output_dir=tmp_path / "beside", **SMALL, **others)
    assert np.array_equal(without.rgb, beside.rgb)
    sizes: dict[str, Any] = {"coarsest_edge": 32, "preview_edge": 40, "style_crop": "1,1,20,20", "unrealness": 3}
    crop = stylize(photo, painter=painter, output_dir=tmp_path / "sizes", **SMALL, **sizes)
    assert np.array_equal(without.rgb, crop.rgb)


def test_the_page_and_sheets_show_it(painter: Path, photo: Path, tmp_path: Path) -> None:
    flags = [str(photo), "--painter", str(painter), "--max-long-edge", "48"]
    assert main([*flags, "--output-dir", str(tmp_path / "out")]) == 0
    (snapshot,) = read_run(tmp_path / "out").snapshots
    assert (snapshot.path.name, snapshot.epoch, snapshot.is_final) == ("final.jpg", 0, True)
    assert view.main([str(tmp_path / "out"), "--sheet"]) == 0
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "painted in one pass" in page
    assert main([*flags, "--output-dir", str(tmp_path / "sweep"), "--sweep", "preserve-colors=none,luma"]) == 0
    assert (tmp_path / "sweep" / "sweep.png").is_file()


def test_masks_alpha_colors_and_16_bits_are_as_always(painter: Path, tmp_path: Path) -> None:
    levels = np.dstack([np.asarray(painted(32, 48)), np.full((32, 48), 255, np.uint8)])
    levels[:8, :, 3] = 0
    photo, mask = tmp_path / "photo.png", tmp_path / "mask.png"
    Image.fromarray(levels).save(photo)
    half = np.zeros((32, 48), np.uint8)
    half[:, 24:] = 255
    Image.fromarray(half).save(mask)
    settings: dict[str, Any] = {**SMALL, "painter": painter, "bit_depth": 16, "preserve_colors": "luma"}
    result = stylize(photo, mask=mask, output_dir=tmp_path / "out", **settings)
    written = read_picture(result.path)
    assert written.alpha is not None
    assert (written.alpha[:8] == 0).all()
    assert (written.alpha[8:] == 1).all()
    assert np.abs(written.rgb[8:, :24] - levels[8:, :24, :3] / 255).max() < 1e-3
    assert np.abs(written.rgb[8:, 24:] - levels[8:, 24:, :3] / 255).mean() > 0.02
    assert len(np.unique(np.rint(written.rgb * 65535) % 257)) > 1


@pytest.mark.parametrize("owns_process", [False, True])
def test_tiles_reuse_freed_memory_only_in_a_process_of_ours(owns_process: bool, painter: Path) -> None:
    loaded = painter_of(Config(painter=str(painter), device="cpu"), Session(owns_process=owns_process))
    assert loaded is not None
    assert (loaded.around_step is reusing_freed_memory) == owns_process


def needed(painter: Path, way: int) -> int:
    """The bytes that `max_memory` must allow besides the program, for 200 x 300 pixels."""
    loaded = load_painter(painter, torch.device("cpu"))
    return loaded.needed((200, 300), loaded.ways[way]) + PICTURE_BYTES * 200 * 300


def test_ten_megapixels_fit_into_a_gigabyte_beside_the_process() -> None:
    with torch.device("meta"):
        made = make_generator("johnson", width=16)
    ten = Config(painter="y", max_memory="1040MB")
    chosen = choose_pass(OnePass(made, torch.device("meta")), (2582, 3873), ten, torch.device("cpu"), 0)
    assert chosen.needed <= 1_000_000_000
    assert chosen.way == TILINGS[0]


def test_matching_all_colors_counts_in_the_memory() -> None:
    """In float64, as for the optimizer's paintings."""
    with torch.device("meta"):
        made = OnePass(make_generator("johnson", width=16), torch.device("meta"))
    size = (2582, 3873)
    of_colors = {
        colors: pass_in(made, TILINGS[0], size, Config(painter="y", preserve_colors=colors)).needed
        for colors in ("none", "luma", "histogram")
    }
    assert of_colors["none"] == of_colors["luma"]
    assert of_colors["histogram"] >= (PAINTED_BYTES + COLORS_BYTES) * size[0] * size[1] > of_colors["none"]


def test_the_memory_limit_decides_about_tiles(
    painter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    photo = tmp_path / "photo.png"
    painted(200, 300).save(photo)
    settings: dict[str, Any] = {"painter": painter, "max_long_edge": 300, "image_format": "png"}
    whole = stylize(photo, output_dir=tmp_path / "whole", **settings)
    monkeypatch.setattr("nstyle.painting.session.memory_in_use", lambda device: 0)
    monkeypatch.setattr("nstyle.painting.painters.STARTUP", 0)
    monkeypatch.setattr("nstyle.painting.session._bytes_of", lambda picture: 0)
    monkeypatch.setattr("nstyle.painter.one_pass.TILINGS", [type(TILINGS[0])(48, 1)])
    limit = needed(painter, 1) / 1e6
    caplog.set_level(logging.INFO)
    tiles = stylize(photo, output_dir=tmp_path / "tiles", max_memory=f"{limit + 0.01:.4f}MB", **settings)
    assert "in tiles of 48 pixels" in caplog.text
    assert np.abs(tiles.rgb.astype(int) - whole.rgb).max() <= 1
    with pytest.raises(DeviceError) as refused:
        stylize(photo, output_dir=tmp_path / "less", max_memory=f"{limit - 1:.4f}MB", **settings)
    assert refused.value.flag == "--max-memory"


@pytest.mark.usefixtures("no_network")
def test_an_estimate_paints_nothing(
    painter: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nstyle.painting.estimate.RATIO", 1.5)
    flags = [str(photo), "--painter", str(painter), "--output-dir", str(tmp_path / "out"), "--max-long-edge", "48"]
    assert main([*flags, "--estimate"]) == 0
    assert "48x32 pixels, whole, " in (out := capsys.readouterr().out)
    assert "one pass" in out
    assert not (tmp_path / "out").exists()
    found = nstyle.estimate(photo, painter=painter, **SMALL)
    assert (found.size, found.epochs) == ((48, 32), 0)


@pytest.mark.parametrize("more", [{}, {"model": "filters", "max_num_epochs": 2, "scales": 2}])
def test_what_is_refused_is_refused_before_a_painter_paints(
    more: dict[str, Any], painter: Path, pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {**SMALL, "painter": painter, **more, "output_dir": tmp_path / "out"}
    stylize(*pair, **settings)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "final.png").write_bytes(b"the user's own")

    def refuse(*_: object) -> None:
        raise AssertionError("it paints")

    monkeypatch.setattr("nstyle.painter.one_pass.paint", refuse)
    for change in ({"preserve_colors": "luma"}, {"output_dir": tmp_path / "other"}):
        with pytest.raises(nstyle.OutputError) as refused:
            stylize(*pair, **settings | change)
        assert refused.value.kind == Kind.IN_THE_WAY
    with pytest.raises(AssertionError, match="it paints"):
        stylize(*pair, **settings | {"output_dir": tmp_path / "new"})


def test_the_optimizer_needs_the_style_of_a_painter(
    painter: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = [str(photo), "--painter", str(painter), "--output-dir", str(tmp_path / "out"), "--max-long-edge", "32"]
    for more in (["--max-num-epochs", "2"], ["--sweep", "max-num-epochs=2,3"]):
        assert main([*flags, *more]) == 2
        assert "--style-image" in capsys.readouterr().err
    assert main(flags) == 0
    assert main(["--recipe", str(tmp_path / "out" / "final.jpg"), "--max-num-epochs", "2"]) == 2
    options: dict[str, Any] = {"painter": painter, "max_num_epochs": (2, 1)}
    for call in (nstyle.stylize, nstyle.estimate):
        with refuses(OptionError, kind=Kind.MISSING, flag="--style-image"):
            call(photo, **options)
    monkeypatch.setattr(painters, "PAINTERS", painter.parent)  # then the sample is its style
    painters.check_style_of_painter({"painter": "y", "max_num_epochs": 2})


def test_what_has_no_effect_is_said(
    painter: Path, pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--content-image", str(pair[0]), "--style-image", str(pair[1]), "--painter", str(painter)]
    flags += ["--output-dir", str(tmp_path / "out"), "--max-long-edge", "32", "--lr", "3", "--seed", "4"]
    assert main(flags) == 0
    warnings = [line for line in capsys.readouterr().out.splitlines() if "no effect" in line]
    assert [line.split()[1] for line in warnings] == ["--style-image", "--seed", "--lr"]


@pytest.mark.parametrize(
    ("settings", "flag"),
    [
        ({"size": "64x64", "content_weight": 0}, "--painter"),
        ({"seamless": True}, "--seamless"),
        ({"max_num_epochs": (0, 5)}, "--max-num-epochs"),
        ({"max_num_epochs": -1}, "--max-num-epochs"),
    ],
)
def test_settings_that_contradict_a_painter_are_refused(settings: dict[str, Any], flag: str) -> None:
    with pytest.raises(OptionError) as refused:
        Config(painter="y.safetensors", **settings)
    assert refused.value.flag == flag


def test_without_a_painter_there_must_be_epochs() -> None:
    with pytest.raises(OptionError) as refused:
        Config(max_num_epochs=0)
    assert refused.value.flag == "--max-num-epochs"


@pytest.mark.parametrize(("name", "kind"), [("none", Kind.MISSING), (".", Kind.UNREADABLE)])
def test_a_painter_that_is_not_there_is_refused_before_anything_is_written(
    name: str, kind: Kind, photo: Path, tmp_path: Path
) -> None:
    with pytest.raises(WeightsError) as refused:
        stylize(photo, painter=name, output_dir=tmp_path / "out", **SMALL)
    assert (refused.value.flag, refused.value.kind) == ("--painter", kind)
    assert not (tmp_path / "out").exists()


def test_defaults_with_a_painter_do_not_depend_on_the_preset(painter: Path) -> None:
    for preset in ("reference", "painterly", "fast"):
        config = Config(painter=str(painter), preset=preset)
        assert (config.max_num_epochs, config.scales, config.coarsest_edge) == (0, 1, None)
