"""What the record of an earlier run in a folder says."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nstyle.errors import RecipeError
from nstyle.storage.layout import OF_A_RUN, RECORD, is_staging, parse_picture_name
from nstyle.storage.reading import FORMER, read_record
from nstyle.storage.recipe import OF_THE_END, Recipe, read_recipe, recipe_of

PICTURES = "pictures"
"""Name of the record's list of the pictures that the run wrote or is about to write."""

REPLACES = "replaces"
"""Name of the record's list of files that it replaces; only there while it does (see `run_folder`)."""


@dataclass(frozen=True)
class Replacement:
    """A replacement of an earlier run: the hidden folder with the new files, and the names of the old ones."""

    staging: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class EarlierRun:
    """A run that a folder's record names.

    Attributes:
        path: the folder.
        facts: the record, as JSON values.
        recipe: its recipe; None: this nstyle cannot use it.
        reason: why it cannot be used; empty: it can.

    """

    path: Path
    facts: dict[str, Any]
    recipe: Recipe | None
    reason: str = ""

    @property
    def stop_reason(self) -> str:
        """Why it stopped."""
        return str(self.facts.get("stop_reason"))

    @property
    def epochs(self) -> int:
        """The number of its epochs that its record knows."""
        epochs = self.facts.get("epochs")
        return epochs if isinstance(epochs, int) else 0

    @property
    def pictures(self) -> frozenset[str]:
        """The names of its pictures, whether they exist or not.

        The record of an older nstyle does not name them: then these are the pictures in the folder with its recipe.
        """
        named = self.facts.get(PICTURES)
        if isinstance(named, list):
            return frozenset(name for name in named if isinstance(name, str) and parse_picture_name(name))
        return frozenset(path.name for path in self.path.iterdir() if self._has_painted(path))

    @property
    def former(self) -> frozenset[str]:
        """The SHA-256 of finished pictures without a recipe that were in the folder before; see `run_folder`."""
        named = self.facts.get(FORMER)
        return frozenset(map(str, named)) if isinstance(named, list) else frozenset()

    def _has_painted(self, path: Path) -> bool:
        if parse_picture_name(path.name) is None or not path.is_file() or self.recipe is None:
            return False
        try:
            return not read_recipe(path).differences(self.recipe, may_differ=OF_THE_END)
        except RecipeError:
            return False

    @property
    def replaces(self) -> Replacement | None:
        """The replacement that has begun and was killed, or None."""
        found = self.facts.get(REPLACES)
        if not isinstance(found, dict) or not is_staging(str(found.get("staging"))):
            return None
        files = found.get("files")
        names = [str(name) for name in files] if isinstance(files, list) else []
        own = [name for name in names if name in OF_A_RUN or parse_picture_name(name)]
        return Replacement(str(found["staging"]), tuple(own))


def read_earlier_run(folder: Path) -> EarlierRun | None:
    """Return the run that a folder's record names; None if there is no record, or if nstyle did not write it."""
    facts = read_record(folder)
    if facts is None or not {"settings", "inputs", "weights", "versions"} <= facts.keys():
        return None
    try:
        return EarlierRun(folder, facts, recipe_of(facts, folder / RECORD))
    except RecipeError as error:
        return EarlierRun(folder, facts, None, f"a record that this nstyle cannot use ({error})")
