"""What several test files share: the embedded network, the golden data, a pair of pictures."""

from functools import lru_cache
from pathlib import Path

import pytest
from pictures import painted

from nstyle.networks.vgg19 import VGG19
from nstyle.networks.weights import EMBEDDED, Weights, load_vgg19, read_weights

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def vgg19() -> VGG19:
    """The embedded network."""
    return load_vgg19()


@pytest.fixture(autouse=True)
def _weights_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs in the tests' own process share the embedded weights, whose reading takes longer than a small picture."""
    monkeypatch.setattr("nstyle.networks.model.read_weights", _read_once)


def _read_once(name: str, weights_input: str) -> Weights:
    return _embedded() if name == EMBEDDED else read_weights(name, weights_input)


@lru_cache
def _embedded() -> Weights:
    return read_weights()


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of what MXNet computed."""
    return GOLDEN


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A content picture of 48x32 and a style picture of 40x40 pixels, as files."""
    content, style = tmp_path / "content.png", tmp_path / "style.png"
    painted(32, 48, seed=1).save(content)
    painted(40, 40, seed=2).save(style)
    return content, style
