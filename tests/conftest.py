"""Fixtures for several test files: the embedded network, the golden data, a pair of pictures."""

import signal
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest
from pictures import painted

from nstyle.networks import weights
from nstyle.networks.vgg19 import VGG19

GOLDEN = Path(__file__).parent / "golden"

# A shell that runs the tests in the background makes them ignore Ctrl-C. Their child processes would do so, too.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def vgg19() -> VGG19:
    """The embedded network."""
    return weights.load_vgg19()


@pytest.fixture(autouse=True, scope="session")
def _the_embedded_weights_are_decoded_once() -> Iterator[None]:
    """Decoding the weights takes longer than painting a small picture. The file is found and hashed each time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "_decode_embedded", lru_cache(weights._decode_embedded))
        yield


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of MXNet's results."""
    return GOLDEN


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A content picture of 48x32 and a style picture of 40x40 pixels, as files."""
    content, style = tmp_path / "content.png", tmp_path / "style.png"
    painted(32, 48, seed=1).save(content)
    painted(40, 40, seed=2).save(style)
    return content, style


@pytest.fixture
def style(pair: tuple[Path, Path]) -> Path:
    """The style picture of the pair."""
    return pair[1]
