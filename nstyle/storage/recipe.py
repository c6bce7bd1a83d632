"""The recipe: what is needed to make a picture again. It stands in pictures, in `run.json` and in saved states."""

import dataclasses
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nstyle.errors import ImageError, Kind, NStyleError, RecipeError
from nstyle.pictures.embedded_text import read_recipe_text
from nstyle.settings.config import Config
from nstyle.settings.options import flag, option
from nstyle.settings.presets import PRESETS

MOST_BYTES = 1_000_000
"""Bytes that are read of a recipe file; one has about three thousand."""

SETTINGS = tuple(field.name for field in dataclasses.fields(Config) if option(field).recorded)
"""The settings that a recipe holds: all but those that say what to do with an earlier run's files."""

# Settings that change nothing of what is painted, only where and how often it is written.
_OF_THE_FILES = {"output_dir", "save_epochs", "remove_noise"}
# Settings that other facts of the recipe say more exactly: the preset's values, the device and precision chosen.
_SAID_ELSEWHERE = {"preset", "gpu", "device", "precision"}
_SCALES = frozenset({"scales", "scale_factor", "coarsest_edge"})
OF_THE_END = frozenset({"max_num_epochs", "stop_eps", "on_divergence"})
"""Settings that may differ when a run is resumed: they decide only when it ends."""


@dataclass(frozen=True)
class Recipe:
    """How a picture was, or is to be, made.

    Attributes:
        settings: every setting of `Config` that a recipe holds, as JSON has it.
        inputs: path and SHA-256 of each picture that was read, by the name of its setting.
        weights: path and SHA-256 of the network's, and whether they are the original ones.
        size: width and height of the painting.
        device: where it was painted: "cpu", "cuda:0".
        device_name: the hardware's.
        precision: of the network's arithmetic: "float32" or "bfloat16".
        versions: of nstyle, Python, and the libraries that compute.

    """

    settings: Mapping[str, Any]
    inputs: Mapping[str, Mapping[str, str]]
    weights: Mapping[str, Any]
    size: tuple[int, int]
    device: str
    device_name: str
    precision: str
    versions: Mapping[str, str]

    def facts(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return dataclasses.asdict(self) | {"size": list(self.size)}

    def text(self, **settings: Any) -> str:
        """Return it as one line of JSON, in ASCII, some settings replaced."""
        return json.dumps(self.facts() | {"settings": {**self.settings, **settings}}, sort_keys=True)

    def other_inputs(self, now: "Recipe") -> list[str]:
        """Name what is no longer what it was: pictures of the same path, weights of the same name."""
        changed = [
            was["path"]
            for name, was in self.inputs.items()
            if (there := now.inputs.get(name)) and there["path"] == was["path"] and there["sha256"] != was["sha256"]
        ]
        if now.settings["weights"] == self.settings["weights"] and now.weights["sha256"] != self.weights["sha256"]:
            changed.append(f"--weights {self.settings['weights']}")
        return changed

    def other_machine(self, now: "Recipe") -> list[str]:
        """Name what makes a picture alike, but not the same to the bit: device and versions, if they are others."""
        pairs = {"device": (self.device_name, now.device_name), "precision": (self.precision, now.precision)}
        pairs |= {name: (self.versions.get(name, "?"), now.versions[name]) for name in now.versions}
        return [f"{name} {there} (here {here})" for name, (there, here) in pairs.items() if there != here]

    def differences(self, now: "Recipe", *, may_differ: Collection[str] = ()) -> list[str]:
        """Name what makes the picture another one than `now`'s: flags and files, each with both of its values.

        Args:
            now: the other recipe.
            may_differ: settings that are left out.

        """
        left_out = _OF_THE_FILES | _SAID_ELSEWHERE | {"weights", *self.inputs, *now.inputs, *may_differ}
        found = [
            f"{flag(name)} {there} (now {here})"
            for name in SETTINGS
            if name not in left_out and (there := self.settings[name]) != (here := now.settings[name])
        ]
        found += [
            f"{flag(name)} {there.get('path', 'none')} (now {here.get('path', 'none')})"
            for name in sorted({*self.inputs, *now.inputs})
            if (there := self.inputs.get(name, {})).get("sha256") != (here := now.inputs.get(name, {})).get("sha256")
        ]
        if self.weights["sha256"] != now.weights["sha256"]:
            found.append(f"--weights {self.settings['weights']} (now {now.settings['weights']})")
        if self.precision != now.precision:
            found.append(f"--precision {self.precision} (now {now.precision})")
        return found


def read_recipe(path: Path) -> Recipe:
    """Read the recipe that a picture of nstyle's carries, or a `run.json`.

    Raises:
        RecipeError: there is none, or it makes no sense.

    """
    try:
        if path.exists() and not path.is_file():
            raise RecipeError(
                f"--recipe {path} is not a file; name a picture of nstyle's, or a run.json",
                flag="--recipe",
                path=path,
                kind=Kind.UNREADABLE,
            )
        with path.open("rb") as file:
            start = file.read(MOST_BYTES)
    except OSError as error:
        raise RecipeError(
            f"--recipe {path} cannot be read: {error.strerror}; name a picture of nstyle's",
            flag="--recipe",
            path=path,
            kind=Kind.MISSING if isinstance(error, FileNotFoundError) else Kind.UNREADABLE,
        ) from error
    if start.lstrip()[:1] == b"{":
        return parse_recipe(start, path)
    try:
        text = read_recipe_text(path)
    except ImageError as error:
        raise RecipeError(f"--recipe {error}", flag="--recipe", path=path, kind=error.kind) from error
    if text is None:
        raise RecipeError(
            f"{path} carries no recipe: nstyle did not write it, or another program has saved it since",
            flag="--recipe",
            path=path,
            kind=Kind.MISSING,
        )
    return parse_recipe(text, path)


def parse_recipe(text: str | bytes, path: Path) -> Recipe:
    """Make a recipe of its JSON; `path` is where it was found, for the errors.

    Settings that a recipe of an older nstyle does not have are as the preset reference has them.

    Raises:
        RecipeError: it is no recipe, or not of this program's kind, or has an impossible setting.

    """
    try:
        facts = json.loads(text)
        settings = facts["settings"]
        recipe = Recipe(
            settings=_settings_of(settings),
            inputs={str(name): _texts(facts["inputs"][name], "path", "sha256") for name in facts["inputs"]},
            weights={
                **_texts(facts["weights"], "path", "sha256"),
                "original": bool(facts["weights"]["original"]),
            },
            size=(int(facts["size"][0]), int(facts["size"][1])),
            device=str(facts["device"]),
            device_name=str(facts["device_name"]),
            precision=str(facts["precision"]),
            versions={str(name): str(facts["versions"][name]) for name in facts["versions"]},
        )
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}", flag=error.flag, path=path, kind=error.kind) from error
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
        raise RecipeError(
            f"{path} holds no recipe of nstyle's, or a damaged one; name a whole one", path=path, kind=Kind.DAMAGED
        ) from error
    return recipe


def _settings_of(found: Mapping[str, Any]) -> dict[str, Any]:
    """Check the settings of a recipe, and complete them.

    What an older nstyle did not know is as the reference has it: so that nstyle painted, whatever the preset was.

    Raises:
        RecipeError: one is unknown or impossible.

    """
    if unknown := sorted(set(found) - set(SETTINGS)):
        raise RecipeError(
            f"the recipe has the setting {unknown[0]!r}, which this nstyle does not know; take a newer",
            kind=Kind.UNKNOWN,
        )
    if set(PRESETS["reference"]) - set(found):
        found = {**found, "preset": "reference"}
    try:
        return recorded_settings(Config(**found))
    except NStyleError as error:
        raise RecipeError(f"the recipe's {error}", flag=error.flag, kind=error.kind) from error


def _texts(found: Mapping[str, Any], *names: str) -> dict[str, str]:
    return {name: str(found[name]) for name in names}


def recorded_settings(config: Config) -> dict[str, Any]:
    """Return the settings that a recipe holds, as JSON has them."""
    settings = {name: getattr(config, name) for name in SETTINGS}
    as_json: dict[str, Any] = json.loads(json.dumps(settings, default=str))
    return as_json


def settings_to_repeat(recipe: Recipe, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that make a recipe's picture again, but for some changes.

    A precision that was left to be chosen is the one that was chosen; of the two ways to name a device, the one that
    the changes take counts; another optimizer has its own learning rate, another preset its own values; other scales
    are those that the changes name. A larger picture goes on from the recipe's, or from the one that it went on from,
    and adds details: so its strokes grow with it.
    """
    settings: dict[str, Any] = dict(recipe.settings)
    if settings["precision"] == "auto":
        settings["precision"] = recipe.precision
    if "gpu" in changes or "device" in changes:
        settings |= {"gpu": None, "device": None}
    if changes.get("optimizer", settings["optimizer"]) != settings["optimizer"]:
        settings["lr"] = None
    if changes.get("preset", settings["preset"]) != settings["preset"]:
        settings |= dict.fromkeys([*PRESETS[settings["preset"]], "lr", "preview_edge"])
    elif _SCALES & set(changes):
        settings["preview_edge"] = None
        settings |= {"coarsest_edge": None} if "scales" in changes else {}
        settings |= {"scales": None} if "coarsest_edge" in changes else {}
    elif settings["preview_edge"] is None:
        settings["preview_edge"] = _preview_of(recipe, changes.get("max_long_edge"))
    return settings | dict(changes)


def _preview_of(recipe: Recipe, edge: Any) -> int | None:
    """Return the longer edge of the recipe's picture if a larger one is wanted, of this longer edge."""
    own_edge: int = max(recipe.size)
    is_larger = isinstance(edge, int) and edge > own_edge and recipe.settings["size"] is None
    return own_edge if is_larger else None
