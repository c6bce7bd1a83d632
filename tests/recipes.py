"""Recipes made for tests."""

from nstyle.settings.config import Config
from nstyle.storage.recipe import Recipe, recorded_settings


def recipe(config: Config | None = None, *, content: str = "c0ffee", **facts: object) -> Recipe:
    """A recipe with made-up values. `content` is the hash of the content picture."""
    config = config or Config()
    known = {
        "settings": recorded_settings(config),
        "inputs": {
            "content_image": {"path": "/pictures/content.png", "sha256": content},
            "style_image": {"path": "/pictures/style.png", "sha256": "5717e"},
        },
        "weights": {"path": "/weights.bin", "sha256": "abc", "original": True},
        "size": (20, 20),
        "device": "cpu",
        "device_name": "a processor",
        "precision": "float32",
        "versions": {"nstyle": "1", "torch": "2"},
    }
    return Recipe(**{**known, **facts})  # type: ignore[arg-type]  # the tests' own facts
