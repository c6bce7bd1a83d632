"""Files of painters: what is written is read again, and anything else is refused in one line."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch

from nstyle.errors import Kind, OutputError, WeightsError
from nstyle.painter import painter_file
from nstyle.painter.generators import GENERATORS, make_generator
from nstyle.painter.graph import Generator
from nstyle.painter.painter_file import MOST_BYTES, MOST_HEADER_BYTES, read_painter, write_painter
from nstyle.settings.painters import find_painter, painter_names
from nstyle.settings.training import MOST_WIDTH


def painter(name: str = "small", **sizes: int) -> Generator:
    torch.manual_seed(1)
    return make_generator(name, **{"width": 4, **sizes})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "y.safetensors"
    write_painter(path, painter(), {"steps": 7})
    return path


def parts(path: Path) -> tuple[dict[str, Any], bytes]:
    """Return the header and the numbers of a file."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def put(path: Path, header: object, numbers: bytes) -> None:
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + numbers)


def put_facts(path: Path, facts: str) -> None:
    """Change what a file says of its generator, as if `write_painter` had written it."""
    header, numbers = parts(path)
    about = header["__metadata__"] | {"generator": facts}
    put(path, header | {"__metadata__": about | {"sha256": painter_file._digest(about, numbers)}}, numbers)


def refused(path: Path) -> WeightsError:
    with pytest.raises(WeightsError) as caught:
        read_painter(path)
    assert "\n" not in str(caught.value)
    assert caught.value.flag == "--painter"
    assert caught.value.path == path
    return caught.value


def test_a_weight_beyond_float16_is_written_in_float32(tmp_path: Path) -> None:
    path, generator = tmp_path / "y.safetensors", painter()
    first, second, *_ = (weight for weight in generator.parameters() if weight.ndim > 1)
    first.data[0, 0, 0, 0] = 1e5
    write_painter(path, generator, {})
    found, other, *_ = (weight for weight in read_painter(path).generator.parameters() if weight.ndim > 1)
    assert torch.equal(found, first)
    assert torch.equal(other, second.half().float())


@pytest.mark.parametrize("name", ["johnson", "small", "boosted"])
def test_a_painter_is_read_as_it_was_written(tmp_path: Path, name: str) -> None:
    path, generator = tmp_path / "y.safetensors", painter(name, blocks=2).eval()
    for weight in generator.parameters():
        weight.data = weight.data.half().float()
    write_painter(path, generator, {"steps": 7})
    found = read_painter(path)
    assert (found.recipe, found.generator.facts) == ({"steps": 7}, generator.facts)
    image = 50 * torch.randn(1, 3, 20, 24)
    assert torch.equal(found.generator(image), generator(image))
    assert not found.generator.training


def test_half_precision_takes_half_the_space_and_paints_nearly_the_same(tmp_path: Path) -> None:
    path, generator, image = tmp_path / "y.safetensors", painter().eval(), 50 * torch.randn(1, 3, 20, 24)
    write_painter(path, generator, {})
    assert len(parts(path)[1]) < 0.6 * 4 * sum(weight.numel() for weight in generator.parameters())
    assert (read_painter(path).generator(image) - generator(image)).abs().max() < 1


def test_the_painters_of_the_program_are_small_and_whole() -> None:
    for name in painter_names():
        path = find_painter(name)
        assert path.stat().st_size <= 1_000_000
        assert read_painter(path).recipe


@pytest.mark.parametrize("name", GENERATORS)
def test_the_widest_painters_can_be_read_again(name: str) -> None:
    with torch.device("meta"):
        widest = make_generator(name, width=MOST_WIDTH)
    assert 2 * sum(weight.numel() for weight in widest.parameters()) + MOST_HEADER_BYTES < MOST_BYTES


def test_reading_draws_no_random_numbers(file: Path) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    read_painter(file)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("length", [0, 5, 8, 100, -1])
def test_truncated_files_are_refused(file: Path, length: int) -> None:
    file.write_bytes(file.read_bytes()[:length])
    assert refused(file).kind == Kind.DAMAGED


def test_the_files_of_other_programs_are_refused(file: Path) -> None:
    header, numbers = parts(file)
    del header["__metadata__"]
    put(file, header, numbers)
    assert refused(file).kind == Kind.UNSUPPORTED
    torch.save({"a": torch.zeros(2)}, file)
    assert refused(file).kind == Kind.DAMAGED
    file.write_bytes(struct.pack("<Q", 2**60) + b"{}")
    assert refused(file).kind == Kind.DAMAGED


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "none.safetensors").kind == Kind.MISSING
    assert refused(tmp_path).kind == Kind.UNREADABLE


@pytest.mark.parametrize(
    "facts",
    ['{"generator": "other", "width": 4, "blocks": 2}', '{"generator": "small", "width": 4000000, "blocks": 2}'],
)
def test_a_network_that_is_not_known_is_refused(file: Path, facts: str) -> None:
    put_facts(file, facts)
    assert refused(file).kind == Kind.UNSUPPORTED


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("dtype", "I64"),
        ("shape", [1]),
        ("shape", "text"),
        ("shape", ["a", 10**12]),
        ("shape", [[0], 10**12]),
        ("data_offsets", [0, 10**9]),
        ("data_offsets", [-8, 4]),
        ("data_offsets", 3),
    ],
)
def test_a_header_that_is_not_of_the_numbers_is_refused(file: Path, key: str, value: object) -> None:
    header, numbers = parts(file)
    header[next(name for name in header if name.endswith("weight"))][key] = value
    put(file, header, numbers)
    assert refused(file).kind == Kind.DAMAGED


@pytest.mark.parametrize("facts", ["[", "[]", "{}", '{"generator": "small", "width": 4, "blocks": 3}'])
def test_weights_of_another_network_are_refused(file: Path, facts: str) -> None:
    put_facts(file, facts)
    assert refused(file).kind == Kind.DAMAGED


def test_a_whole_file_with_other_shapes_is_of_another_version(file: Path) -> None:
    facts = json.loads(parts(file)[0]["__metadata__"]["generator"])
    put_facts(file, json.dumps(facts | {"width": facts["width"] + 1}))
    error = refused(file)
    assert error.kind == Kind.UNSUPPORTED
    assert "another version of nstyle; train it again" in str(error)


def test_numbers_that_are_not_finite_are_refused(file: Path) -> None:
    generator = painter()
    next(generator.parameters()).data.flatten()[0] = torch.nan
    write_painter(file, generator, {})
    error = refused(file)
    assert error.kind == Kind.DAMAGED
    assert "is not finite" in str(error)


def test_a_changed_bit_is_found(file: Path) -> None:
    header, numbers = parts(file)
    put(file, header, numbers)
    assert read_painter(file).recipe == {"steps": 7}
    recipe = header["__metadata__"]["recipe"]
    put(file, header | {"__metadata__": header["__metadata__"] | {"recipe": recipe.replace("7", "8")}}, numbers)
    assert refused(file).kind == Kind.DAMAGED
    for place in (0, len(numbers) // 2, len(numbers) - 1):
        changed = bytearray(numbers)
        changed[place] ^= 1
        put(file, header, bytes(changed))
        assert refused(file).kind == Kind.DAMAGED


def test_a_file_without_a_hash_is_of_an_earlier_nstyle(file: Path) -> None:
    header, numbers = parts(file)
    del header["__metadata__"]["sha256"]
    put(file, header, numbers)
    error = refused(file)
    assert error.kind == Kind.UNSUPPORTED
    assert "was made by an earlier nstyle; train it again" in str(error)


def test_a_file_that_cannot_be_written_is_one_line_and_leaves_the_old_one(file: Path) -> None:
    (file.parent / "folder").mkdir()
    with pytest.raises(OutputError):
        write_painter(file.parent / "folder", painter(), {})
    assert read_painter(file).recipe == {"steps": 7}
