"""What several test files share: the embedded network, the golden data, a pair of pictures."""

from pathlib import Path

import pytest
from pictures import painted

from nstyle.vgg19 import VGG19
from nstyle.weights import load_vgg19

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def vgg19() -> VGG19:
    """The embedded network."""
    return load_vgg19()


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
