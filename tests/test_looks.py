"""scripts/looks.py: each measure reacts to its subject only, sheets are blind, votes are counted correctly."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates, maximum_filter

import nstyle
from eye.distances import Moments, Target, gaussian_distance, gram_distance
from eye.dots import dots, plain_windows
from eye.measures import Bytes, Floats, borders, clipped, new_colors
from eye.painters import paint, painters_in, parse_painter
from eye.pairs import PAIRS, PHOTOS, SAMPLE_STYLE, Pair, found_pairs, make_pairs, read
from eye.sheets import read_votes, sheet, tally, write_sheets
from eye.table import MEAN, PHOTO, Row, means, measure_pair, write_table
from nstyle.errors import NStyleError
from nstyle.networks.vgg19 import VGG19

SCRIPT = Path(__file__).parent.parent / "scripts" / "looks.py"
SIZE = 256


@pytest.fixture(scope="module")
def network() -> VGG19:
    return nstyle.load_vgg19()


def picture(levels: Floats) -> Bytes:
    """Grey levels (H x W) as a picture."""
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)[..., None].repeat(3, axis=2)


def sky(noise: float = 1.0) -> Floats:
    """A plain sky: a gradient of grey levels with some grain."""
    y, x = np.mgrid[:SIZE, :SIZE]
    levels: Floats = 100 + 0.2 * y + 0.05 * x + noise * np.random.default_rng(0).normal(size=(SIZE, SIZE))
    return levels


def spots(period: int) -> Floats:
    """Round dots of height 1 on a grid."""
    y, x = np.mgrid[:SIZE, :SIZE]
    heights: Floats = ((1 + np.cos(2 * np.pi * x / period)) * (1 + np.cos(2 * np.pi * y / period)) / 4) ** 2
    return heights


def scattered(distance: int) -> Floats:
    """Round dots of height 1 without a grid: the crests of waves with about that wavelength."""
    noise = np.random.default_rng(5).normal(size=(SIZE, SIZE))
    finer, coarser = (gaussian_filter(noise, distance / width, mode="wrap") for width in (5, 4))
    waves = finer - coarser
    crests = (waves == maximum_filter(waves, 3, mode="wrap")) & (waves > 0)
    blurred: Floats = gaussian_filter(crests.astype(float), distance / 6, mode="wrap")
    blurred /= blurred.max()
    return blurred


def strokes(angle: float) -> Floats:
    """Noise smeared along a direction, with standard deviation 1."""
    y, x = np.mgrid[:SIZE, :SIZE]
    along = np.cos(angle) * y - np.sin(angle) * x, np.cos(angle) * x + np.sin(angle) * y
    coarse = gaussian_filter(np.random.default_rng(1).normal(size=(600, 600)), (1.5, 12), mode="wrap")
    smeared: Floats = map_coordinates(coarse, along, order=3, mode="grid-wrap")  # nearest-pixel sampling makes steps
    smeared /= smeared.std()
    return smeared


@pytest.mark.parametrize("period", [2, 3, 4, 7, 8, 12, 16])
def test_dots_are_seen_and_more_so_the_stronger_they_are(period: int) -> None:
    content = picture(sky())
    found = [dots(picture(sky() + height * spots(period)), content) for height in (0, 6, 12, 24, 48)]
    strengths = [one.strength for one in found]
    assert strengths == sorted(strengths)
    assert strengths[2] > 1.5 * strengths[0]
    assert any(found[-1].period == pytest.approx(period / n, rel=0.2) for n in range(1, period))


@pytest.mark.parametrize("distance", [4, 5, 6, 8])
@pytest.mark.parametrize("color", [(1, 1, 1), (1, -0.5, 0), (0.2, 0.2, -1)])
def test_dots_on_no_grid_are_seen_in_any_color(distance: int, color: tuple[float, float, float]) -> None:
    content = picture(sky())
    found = []
    for height in (0, 10, 20, 40, 80):
        levels = sky()[..., None] + height * scattered(distance)[..., None] * color
        found.append(dots(np.clip(np.rint(levels), 0, 255).astype(np.uint8), content))
    strengths = [one.strength for one in found]
    assert strengths == pytest.approx(sorted(strengths), rel=0.01)  # too many dots leave nothing to compare with
    assert strengths[2] > 1.5 * strengths[0]
    assert distance / 1.6 < found[-1].period < distance * 1.3


@pytest.mark.parametrize("height", [6, 24])
def test_a_checkerboard_and_a_weave_are_seen(height: float) -> None:
    content = picture(sky())
    y, x = np.mgrid[:SIZE, :SIZE]
    for pattern in ((-1.0) ** (x + y), np.cos(2 * np.pi * x / 4) + np.cos(2 * np.pi * y / 4)):
        assert dots(picture(sky() + height * pattern), content).strength > 1.5


@pytest.mark.parametrize("blur", [0, 1.5])
def test_power_that_falls_as_in_nature_or_more_has_no_dots_at_any_contrast(blur: float) -> None:
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(SIZE), np.fft.fftfreq(SIZE)))
    frequency[0, 0] = 1
    noise = np.fft.fft2(np.random.default_rng(6).normal(size=(SIZE, SIZE)))
    natural = gaussian_filter(np.fft.ifft2(noise / frequency).real, blur, mode="wrap")
    natural /= natural.std()
    for deviation in (2, 10, 40):
        assert dots(picture(sky() + deviation * natural), picture(sky())).strength < 1.1


@pytest.mark.parametrize("deviation", [2, 8, 30])
def test_noise_has_no_dots(deviation: float) -> None:
    content = picture(sky())
    noise = deviation * np.random.default_rng(2).normal(size=(SIZE, SIZE))
    assert dots(content, content).strength < 1.1
    assert dots(picture(sky() + noise), content).strength < 1.1


@pytest.mark.parametrize("angle", [0, 0.4, math.pi / 4, 1.2, math.pi / 2])
def test_strokes_have_no_dots_but_hide_none(angle: float) -> None:
    content = picture(sky())
    stroked = sky() + 20 * strokes(angle)
    without = dots(picture(stroked), content).strength
    assert without < 1.1
    assert dots(picture(stroked + 24 * spots(4)), content).strength > 1.5 * without


def test_dots_count_in_plain_areas_alone() -> None:
    half = sky()
    half[:, SIZE // 2 :] += 40 * np.random.default_rng(3).normal(size=(SIZE, SIZE // 2))
    content = picture(half)
    assert max(x for _, x in plain_windows(content)) <= SIZE // 2 - 60
    dotted = half.copy()
    dotted[:, SIZE // 2 :] += 30 * spots(4)[:, SIZE // 2 :]
    assert dots(picture(dotted), content).strength == pytest.approx(dots(content, content).strength, rel=0.1)


def test_without_a_plain_area_dots_are_not_measured() -> None:
    content = picture(sky(noise=60))
    assert math.isnan(dots(content, content).strength)
    assert dots(content, content).windows == 0
    assert not math.isnan(dots(picture(sky()), picture(sky())).strength)


def test_dots_compare_pictures_of_one_size() -> None:
    content = picture(sky())
    with pytest.raises(ValueError, match="resize"):
        dots(content[:-1], content)


def test_a_dull_border_is_told_from_a_lively_one() -> None:
    lively = picture(128 + 40 * np.random.default_rng(4).normal(size=(120, 150)))
    assert all(0.8 < spread < 1.2 for spread in borders(lively))
    dull = lively.copy()
    dull[-8:] = 128 + (lively[-8:].astype(int) - 128) // 2
    dull[:, :8] = 90
    spreads = borders(dull)
    assert spreads.bottom == pytest.approx(0.5, abs=0.1)
    assert spreads.left < 0.1
    assert spreads.top > 0.8
    assert spreads.right > 0.8
    assert 0.5 < spreads.whole < 0.9


def test_a_picture_without_a_middle_has_no_contrast_of_borders() -> None:
    spreads = borders(picture(128 + 40 * np.random.default_rng(4).normal(size=(20, 100))))
    assert np.isnan([spreads.top, spreads.bottom]).all()
    assert np.isfinite([spreads.left, spreads.right, spreads.whole]).all()


def flat(*color: int) -> Bytes:
    return np.full((40, 40, 3), color, np.uint8)


def test_colors_that_neither_picture_has() -> None:
    content, style = flat(120, 120, 120), flat(30, 60, 160)
    assert new_colors(content, content, style) == 0
    assert new_colors(style, content, style) == 0
    painting = flat(120, 120, 120)
    painting[:10] = 128, 128, 128  # a shade
    painting[10:20] = 160, 40, 160  # purple
    assert new_colors(painting, content, style) == pytest.approx(0.25)


def test_a_color_that_a_picture_hardly_has_counts_as_new() -> None:
    content, style = np.zeros((100, 100, 3), np.uint8), flat(30, 60, 160)
    content[0, 0] = 0, 255, 0
    assert new_colors(flat(0, 255, 0), content, style) == 1
    content[:2] = 0, 255, 0
    assert new_colors(flat(0, 255, 0), content, style) == 0


def test_clipped_values_are_counted() -> None:
    half = flat(0, 255, 100)
    assert clipped(half) == pytest.approx(2 / 3)
    assert clipped(flat(1, 254, 100)) == 0


def moments(mean: list[float], covariance: list[list[float]]) -> Moments:
    m, c = torch.tensor(mean, dtype=torch.float64), torch.tensor(covariance, dtype=torch.float64)
    return Moments(m, c + torch.outer(m, m))


def test_distance_of_gaussians() -> None:
    style = moments([1.0, 2.0], [[4.0, 0.0], [0.0, 9.0]])
    assert gaussian_distance(style, style) == pytest.approx(0, abs=1e-12)
    black = moments([0.0, 0.0], [[0.0, 0.0], [0.0, 0.0]])
    assert gaussian_distance(black, style) == pytest.approx(1)
    other = moments([0.0, 2.0], [[1.0, 0.0], [0.0, 25.0]])  # diagonal: 1 + (2 - 1)^2 + (3 - 5)^2, of 1 + 4 + 4 + 9
    assert gaussian_distance(other, style) == pytest.approx(6 / 18)


def test_distance_of_gaussians_that_do_not_commute() -> None:
    root = torch.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
    first, second = root @ root, torch.tensor([[5.0, -1.0], [-1.0, 1.0]], dtype=torch.float64)
    product = torch.linalg.eigvals(first @ second).real.clamp(min=0).sqrt().sum()  # tr (C1 C2)^1/2, a second way
    expected = float((first.trace() + second.trace() - 2 * product) / second.trace())
    found = gaussian_distance(moments([0.0, 0.0], first.tolist()), moments([0.0, 0.0], second.tolist()))
    assert found == pytest.approx(expected)


def test_distance_of_gram_matrices() -> None:
    style = moments([0.0, 0.0], [[3.0, 0.0], [0.0, 4.0]])
    assert gram_distance(style, style) == 0
    assert gram_distance(moments([0.0, 0.0], [[6.0, 0.0], [0.0, 8.0]]), style) == pytest.approx(1)


def noisy(seed: int, height: int = 64, width: int = 96) -> Bytes:
    blurred = gaussian_filter(np.random.default_rng(seed).normal(size=(height, width, 3)), (2 + seed, 2, 0))
    levels: Bytes = np.clip(128 + 50 * blurred / blurred.std(), 0, 255).astype(np.uint8)
    return levels


def test_pictures_are_nearest_to_themselves(network: VGG19) -> None:
    content, style = noisy(0), noisy(3)
    target = Target.of(network, content, style)
    of_content, of_style = target.distances(content), target.distances(style)
    assert of_content.content == 0
    assert of_style.content > 0.1
    for layer in of_style.gram:
        assert of_style.gram[layer] == pytest.approx(0, abs=1e-4)
        assert of_style.gaussian[layer] == pytest.approx(0, abs=1e-4)
        assert of_content.gram[layer] > 0.01
        assert of_content.gaussian[layer] > 0.001


def test_the_pairs_are_at_least_ten_and_of_known_photos() -> None:
    assert len(set(PAIRS)) == len(PAIRS) >= 10
    assert {content for content, _ in PAIRS} <= set(PHOTOS)
    assert len({style for _, style in PAIRS}) >= 5


def test_pairs_are_written_once(tmp_path: Path) -> None:
    style = tmp_path / "own.png"
    Image.fromarray(noisy(1)).save(style)
    names = [f"chelsea-{SAMPLE_STYLE}", "reference"]
    pairs = make_pairs(tmp_path / "pairs", names, (style, style))
    assert [pair.name for pair in pairs] == names
    assert [pair.name for pair in found_pairs(tmp_path / "pairs")] == sorted(names)
    assert read(pairs[0].content).shape == (300, 451, 3)
    assert np.array_equal(read(pairs[1].style), noisy(1))
    with pytest.raises(NStyleError, match="no pair nobody"):
        make_pairs(tmp_path / "pairs", ["nobody"])


def make_pair(folder: Path, name: str = "noise") -> Pair:
    pair = Pair(name, folder / "pairs" / name)
    pair.folder.mkdir(parents=True)
    Image.fromarray(noisy(0)).save(pair.content)
    Image.fromarray(noisy(3)).save(pair.style)
    return pair


def test_a_painting_is_kept_until_its_flags_change(tmp_path: Path) -> None:
    pair = make_pair(tmp_path)
    painter = parse_painter("one=--model filters --max-num-epochs 1 --init content")
    assert paint(painter, pair, 48, tmp_path) is not None
    painted = tmp_path / "one" / "noise.png"
    assert max(read(painted).shape) == 48
    assert paint(painter, pair, 48, tmp_path) is None
    assert paint(painter, pair, 48, tmp_path, again=True) is not None
    assert paint(parse_painter("one=--model filters --max-num-epochs 2"), pair, 48, tmp_path) is not None
    assert painters_in(tmp_path) == ["one"]
    with pytest.raises(NStyleError, match="no pictures of two"):
        painters_in(tmp_path, ["one", "two"])


@pytest.mark.parametrize("text", ["=--preset fast", "a/b=", "pairs=", 'open=--init "noise', ""])
def test_a_painter_needs_a_name_and_whole_flags(text: str) -> None:
    with pytest.raises(NStyleError) as refused:
        parse_painter(text)
    assert refused.value.flag == "--painter"


def test_a_table_has_photo_paintings_and_means(tmp_path: Path, network: VGG19) -> None:
    pair = make_pair(tmp_path)
    (tmp_path / "copy").mkdir()
    Image.fromarray(noisy(0)).save(tmp_path / "copy" / "noise.png")
    (tmp_path / "copy" / "noise.json").write_text('{"seconds": 2.5}')
    photo, copy = measure_pair(pair, ["copy", "absent"], tmp_path, network)
    assert (photo.painter, copy.painter) == (PHOTO, "copy")
    assert copy.values["seconds"] == 2.5
    assert copy.values["content relu4_2"] == 0
    assert {name: copy.values[name] for name in photo.values} == pytest.approx(dict(photo.values), nan_ok=True)
    spreadsheet, page = write_table([photo, copy], tmp_path)
    assert len(spreadsheet.read_text().splitlines()) == 5
    assert f"| copy | {MEAN} |" in page.read_text()


def test_means_leave_out_what_was_not_measured() -> None:
    rows = [Row("a", "1", {"dots": 1.0}), Row("a", "2", {"dots": math.nan}), Row("a", "3", {"dots": 3.0, "more": 5})]
    assert means(rows) == [Row("a", MEAN, {"dots": 2.0, "more": 5.0})]


@pytest.fixture
def painted(tmp_path: Path) -> list[Pair]:
    """Ten pairs. "dark" painted all of them black; "light" painted all but the last white."""
    pairs = [make_pair(tmp_path, f"pair{number}") for number in range(10)]
    for name, level, count in (("dark", 0, 10), ("light", 255, 9)):
        (tmp_path / name).mkdir()
        for pair in pairs[:count]:
            Image.fromarray(np.full((64, 96, 3), level, np.uint8)).save(tmp_path / name / f"{pair.name}.png")
    return pairs


def test_sheets_are_blind_and_the_key_is_right(tmp_path: Path, painted: list[Pair]) -> None:
    folder, key = tmp_path / "sheets", tmp_path / "key.json"
    write_sheets(painted, ("dark", "light"), tmp_path, folder, key, seed=1)
    sheets = json.loads(key.read_text())["sheets"]
    assert (
        sorted(path.name for path in folder.iterdir()) == sorted(sheets) == [f"sheet_0{i}.png" for i in range(1, 10)]
    )
    assert {entry["left"] for entry in sheets.values()} == {"dark", "light"}
    order = [entry["pair"] for entry in sheets.values()]
    assert order != sorted(order)
    assert sorted(order) == [pair.name for pair in painted[:9]]
    for name, entry in sheets.items():
        with Image.open(folder / name) as shown:
            assert not shown.info
            levels = {side: shown.getpixel((x, shown.height - 60)) for side, x in (("left", 60), ("right", 168))}
        assert levels == {side: (0,) * 3 if entry[side] == "dark" else (255,) * 3 for side in ("left", "right")}


def test_another_seed_makes_other_sheets_and_the_same_seed_the_same(tmp_path: Path, painted: list[Pair]) -> None:
    keys = []
    for number, seed in enumerate((5, 5, 6)):
        key = tmp_path / f"key{number}.json"
        write_sheets(painted, ("dark", "light"), tmp_path, tmp_path / f"sheets{number}", key, seed)
        keys.append(json.loads(key.read_text())["sheets"])
    assert keys[0] == keys[1] != keys[2]


def test_sheets_refuse_a_key_among_them_and_a_folder_in_use(tmp_path: Path, painted: list[Pair]) -> None:
    folder = tmp_path / "sheets"
    with pytest.raises(NStyleError, match="outside"):
        write_sheets(painted, ("dark", "light"), tmp_path, folder, folder / "key.json", 0)
    folder.mkdir()
    (folder / "old.png").touch()
    with pytest.raises(NStyleError, match="not empty"):
        write_sheets(painted, ("dark", "light"), tmp_path, folder, tmp_path / "key.json", 0)
    with pytest.raises(NStyleError, match="no pair in common"):
        write_sheets(painted[9:], ("dark", "light"), tmp_path, tmp_path / "new", tmp_path / "key.json", 0)


def test_a_sheet_shows_paintings_of_two_sizes_at_the_smaller_one() -> None:
    whole = sheet(noisy(0), noisy(1), noisy(2, 64, 96), noisy(2, 128, 192))
    assert whole.width < 2 * 96 + 50


KEY = {"sheets": {f"{i}.png": {"pair": f"p{i}", "left": "ab"[i % 2], "right": "ba"[i % 2]} for i in range(4)}}


def test_votes_are_counted_by_the_key(tmp_path: Path) -> None:
    key, table, listed = tmp_path / "key.json", tmp_path / "votes.csv", tmp_path / "votes.json"
    key.write_text(json.dumps(KEY))
    table.write_text("sheet,vote,judge\n0.png,left,x\n1.png,left,x\n2.png,same,x\n3.png,right,x\n")
    listed.write_text(json.dumps([{"sheet": "0.png", "vote": "left", "judge": "y"}]))
    counted = tally(key, read_votes([table, listed]))
    assert counted.votes == {"a": 3, "b": 1, "same": 1}
    assert counted.share("a") == pytest.approx(0.7)
    assert counted.share("b") == pytest.approx(0.3)
    assert counted.by_pair["p0"] == {"a": 2}
    assert counted.by_judge == {"x": {"a": 2, "b": 1, "same": 1}, "y": {"a": 1}}


@pytest.mark.parametrize(
    "votes",
    [
        [],
        [{"sheet": "9.png", "vote": "left", "judge": "x"}],
        [{"sheet": "0.png", "vote": "up", "judge": "x"}],
        [{"sheet": "0.png", "vote": "left", "judge": "x"}] * 2,
    ],
)
def test_votes_that_cannot_be_counted_are_refused(tmp_path: Path, votes: list[dict[str, str]]) -> None:
    key = tmp_path / "key.json"
    key.write_text(json.dumps(KEY))
    with pytest.raises(NStyleError):
        tally(key, votes)


def test_files_without_votes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "votes.csv").write_text("sheet,judge\n0.png,x\n")
    with pytest.raises(NStyleError, match="no votes"):
        read_votes([tmp_path / "votes.csv"])


def test_the_command_says_in_one_line_what_is_wrong(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, SCRIPT, "measure", tmp_path], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "paint first" in done.stderr
