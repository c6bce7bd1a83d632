"""The recipe: everything needed to make a picture again. Pictures, `run.json` and checkpoints contain it.

A recipe may come from anyone. It is data: it names no code to run and no place to write.
"""

import dataclasses
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from typing import Any

from nstyle.errors import ImageError, Kind, NStyleError, RecipeError
from nstyle.files import open_regular
from nstyle.pictures import limits
from nstyle.pictures.embedded_text import read_recipe_text
from nstyle.settings.config import WITH_PAINTER, Config
from nstyle.settings.options import flag, option
from nstyle.settings.paths import name_of, named_paths, with_names, with_paths
from nstyle.settings.presets import PRESETS
from nstyle.storage.reading import MOST_BYTES

SETTINGS = tuple(field.name for field in dataclasses.fields(Config) if option(field).recorded)
"""Names of the settings in a recipe: all except those that decide what happens to an earlier run's files."""

# Settings that do not change what is painted, only how it is written and in how much memory. (Tiles change rounding.)
_OF_THE_FILES = {"output_dir", "save_epochs", "remove_noise", "no_recipe", "max_memory"}
# Settings that name files: the hashes of `Recipe.inputs` tell them apart.
_FILES = {"content_image", "style_image", "mask", "style_mask", "painter"}
# Settings that other entries state more exactly: the preset's values, the weights, the chosen device and precision.
_SAID_ELSEWHERE = {"preset", "unrealness", "gpu", "device", "precision"}
_BALANCE = frozenset({"strength", "content_weight", "style_weight", "balance"})  # what `unrealness` sets, or replaces
_SCALES = frozenset({"scales", "scale_factor", "coarsest_edge", "supersampling"})
_EPOCHS = (
    frozenset({"max_num_epochs", "max_long_edge", "size", "enlarge", "preset", "stop_eps", "style_loss"}) | _SCALES
)  # what decides how many there are
# A share used to be a word: recipes of before say "start" to add all details of the start.
_SHARES_OF_DETAILS = {"none": 0.0, "start": 1.0}
OF_THE_END = frozenset({"max_num_epochs", "stop_after", "stop_eps", "on_divergence"})
"""Settings that may change when a run is resumed, because they only decide when it ends."""


@dataclass(frozen=True)
class Recipe:
    """How a picture was made, or will be made.

    Attributes:
        settings: JSON value of each setting in `SETTINGS`.
        inputs: "path" and "sha256" of each input picture, by the name of its setting. Paths are absolute, except in
            a published recipe, which has names instead, and in recipes of an older nstyle.
        weights: "path" and "sha256" of the network weights, and "original": whether they are the original VGG-19.
        size: width and height of the painting in pixels.
        device: where it was painted, such as "cpu" or "cuda:0".
        device_name: name of that hardware.
        precision: precision of the network's arithmetic, "float32", "tf32" or "bfloat16".
        versions: versions of nstyle, Python and the numerical libraries, by name.

    """

    settings: Mapping[str, Any]
    inputs: Mapping[str, Mapping[str, str]]
    weights: Mapping[str, Any]
    size: tuple[int, int]
    device: str
    device_name: str
    precision: str
    versions: Mapping[str, str]

    @property
    def in_one_pass(self) -> bool:
        """Whether a painter painted the picture alone: without the network, in float32."""
        return self.settings["painter"] is not None and self.settings["max_num_epochs"] == 0

    def facts(self) -> dict[str, Any]:
        """Return the recipe as a dictionary of JSON values."""
        return dataclasses.asdict(self) | {"size": list(self.size)}

    def published(self) -> "Recipe":
        """Return the recipe as pictures contain it, because people share pictures: file names instead of paths."""
        return replace(
            self,
            settings=with_names(self.settings),
            inputs={name: {**entry, "path": name_of(entry["path"])} for name, entry in self.inputs.items()},
            weights={**self.weights, "path": name_of(self.weights["path"])},
        )

    def text(self, **settings: Any) -> str:
        """Return the recipe as one line of ASCII JSON, with these settings replaced."""
        return json.dumps(self.facts() | {"settings": {**self.settings, **settings}}, sort_keys=True)

    def other_inputs(self, now: "Recipe") -> list[str]:
        """List input files that have changed: pictures and weights with the same file name and another SHA-256.

        Weights count if both paintings read them.
        """
        changed = [
            there["path"]
            for name, was in self.inputs.items()
            if (there := now.inputs.get(name))
            and name_of(there["path"]) == name_of(was["path"])
            and there["sha256"] != was["sha256"]
        ]
        weights, weights_now = self.settings["weights"], now.settings["weights"]
        same_network = self.settings["model"] == now.settings["model"] and name_of(weights) == name_of(weights_now)
        reads_weights = not (self.in_one_pass or now.in_one_pass)
        if reads_weights and same_network and now.weights["sha256"] != self.weights["sha256"]:
            changed.append(f"--weights {weights_now}")
        return changed

    def other_machine(self, now: "Recipe") -> list[str]:
        """List the device, precision and versions that differ: the picture is then similar, but not bit-exact."""
        pairs = {"device": (self.device_name, now.device_name), "precision": (self.precision, now.precision)}
        pairs |= {name: (self.versions.get(name, "?"), now.versions[name]) for name in now.versions}
        return [f"{name} {there} (here {here})" for name, (there, here) in pairs.items() if there != here]

    def differences(self, now: "Recipe", *, may_differ: Collection[str] = ()) -> list[str]:
        """List the flags and files that make this picture different from `now`'s, each with both values.

        Files with the same SHA-256 are the same, wherever they are and whatever they are called.

        Args:
            now: the recipe to compare with.
            may_differ: names of settings to ignore.

        """
        left_out = _OF_THE_FILES | _SAID_ELSEWHERE | _FILES | {"weights", *self.inputs, *now.inputs, *may_differ}
        found = [
            f"{flag(name)} {there} (now {here})"
            for name in SETTINGS
            if name not in left_out and (there := self._besides_files(name)) != (here := now._besides_files(name))
        ]
        for name in sorted({*self.inputs, *now.inputs}):
            there, here = self.inputs.get(name, {}), now.inputs.get(name, {})
            if there.get("sha256") != here.get("sha256"):
                was, is_now = there.get("path", "none"), here.get("path", "none")
                found.append(f"{flag(name)} {was} (now {is_now})" if was != is_now else f"{was} has changed since")
        if self.weights["sha256"] != now.weights["sha256"]:
            found.append(f"--weights {self.settings['weights']} (now {now.settings['weights']})")
        if self.precision != now.precision:
            found.append(f"--precision {self.precision} (now {now.precision})")
        return found

    def _besides_files(self, name: str) -> Any:
        """Return the value of a setting; of the styles to blend, only the weights."""
        value = self.settings[name]
        return [weight for _, weight in value] if name == "blend_style" else value


def read_recipe(path: Path) -> Recipe:
    """Read the recipe in a picture that nstyle painted, or in a `run.json`.

    Raises:
        RecipeError: there is no recipe, or it is invalid.

    """
    try:
        with open_regular(path, limits.MOST_BYTES) as file:
            start = file.read(MOST_BYTES)
    except OSError as error:
        raise RecipeError(
            f"--recipe {path} cannot be read: {error.strerror}; name a picture that nstyle painted, or a run.json",
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
            f"{path} contains no recipe: nstyle did not write it, or another program saved it again; "
            "name a picture that nstyle painted, or a run.json",
            flag="--recipe",
            path=path,
            kind=Kind.MISSING,
        )
    return parse_recipe(text, path)


def parse_recipe(text: str | bytes, path: Path) -> Recipe:
    """Parse a recipe's JSON. `path` is the file that it comes from, for error messages.

    Raises:
        RecipeError: see `recipe_of`.

    """
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _not_a_recipe(path) from error
    if isinstance(facts, dict) and "recipe" in facts:  # the record of a film has more beside the recipe of its frames
        facts = facts["recipe"]
    return recipe_of(facts, path)


def recipe_of(facts: Any, path: Path) -> Recipe:
    """Return the recipe that JSON values describe. `path` is the file that they come from, for error messages.

    A recipe of an older nstyle lacks newer settings: these get the values of the preset "reference".

    Raises:
        RecipeError: the values are not a recipe, or a setting is unknown or out of range.

    """
    try:
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
        raise _not_a_recipe(path) from error
    return recipe


def _not_a_recipe(path: Path) -> RecipeError:
    return RecipeError(
        f"{path} is not a recipe, or it is damaged; name a picture that nstyle painted, or a run.json",
        path=path,
        kind=Kind.DAMAGED,
    )


def _settings_of(found: Mapping[str, Any]) -> dict[str, Any]:
    """Check the settings of a recipe and add the missing ones.

    A setting that the recipe's nstyle did not have gets the value of the preset "reference", whatever the recipe's
    preset: that is how the older nstyle painted. The recipe keeps its preset if that changes nothing else: None,
    which the recipe may have, stands for the preset's value.

    Raises:
        RecipeError: a setting is unknown or out of range.

    """
    if unknown := sorted(set(found) - set(SETTINGS)):
        raise RecipeError(
            f"the recipe has the setting {unknown[0]!r}, which this nstyle does not know; install a newer nstyle",
            kind=Kind.UNKNOWN,
        )
    if "details" in found and (share := _SHARES_OF_DETAILS.get(str(found["details"]))) is not None:
        found = {**found, "details": share}
    missing = {name: value for name, value in PRESETS["reference"].items() if name not in found}
    try:
        checked = recorded_settings(Config(**{**missing, **found}))
        if missing:
            as_reference = recorded_settings(Config(**{**found, "preset": "reference"}))
            if checked != {**as_reference, "preset": checked["preset"]}:
                checked = as_reference
    except NStyleError as error:
        raise RecipeError(f"the recipe's {error}", flag=error.flag, kind=error.kind) from error
    paths = named_paths(found)  # as they are in the recipe: `Config` takes relative ones as from this working folder
    return with_paths(checked, lambda name, path: paths.get(name, path))


def _texts(found: Mapping[str, Any], *names: str) -> dict[str, str]:
    return {name: str(found[name]) for name in names}


def recorded_settings(config: Config) -> dict[str, Any]:
    """Return the settings of a config that go into a recipe, as JSON values."""
    settings = {name: getattr(config, name) for name in SETTINGS}
    as_json: dict[str, Any] = json.loads(json.dumps(settings, default=str))
    return as_json


def settings_to_repeat(recipe: Recipe, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that make a recipe's picture again, with some changes.

    The output folder is not the recipe's: nothing is written but where the user says. These settings follow from the
    changes:
    - `--precision auto` becomes the precision that was chosen.
    - A changed device (`gpu` or `device`) replaces the recipe's, whichever of the two named it.
    - A new optimizer brings its own learning rate, and a new preset its own values, but for those
      that a painter has with any preset.
    - Changed scales replace the recipe's.
    - A new painter paints in one pass, unless the number of epochs is another, too.
    - A new unrealness replaces the recipe's weights, strength and balance; new ones of these replace its unrealness.
    - A snapshot's recipe of several scales, which ends at the snapshot, goes on to the end if what decides the number
      of epochs is another, such as the size.
    - A larger picture continues from the recipe's, or from the preview that the recipe started from, and adds
      details. So its strokes grow with it.

    Raises:
        RecipeError: the recipe's network is a function, and the changes do not name it: a recipe runs no code.

    """
    settings: dict[str, Any] = dict(recipe.settings)
    settings.pop("output_dir", None)
    if ":" in settings["model"] and "model" not in changes:
        raise RecipeError(
            f"the recipe's network is the function {settings['model']}, and a recipe runs no code; "
            f"if you trust that module, add --model {settings['model']}",
            flag="--model",
            kind=Kind.UNSUPPORTED,
        )
    if _EPOCHS & set(changes):
        settings["stop_after"] = None
    if settings["precision"] == "auto":
        settings["precision"] = recipe.precision
    if "gpu" in changes or "device" in changes:
        settings |= {"gpu": None, "device": None}
    has_new_painter = changes.get("painter", settings["painter"]) != settings["painter"]
    if has_new_painter:
        settings |= dict.fromkeys(["max_num_epochs", "stop_eps", "preview_edge", *_SCALES])
    if changes.get("optimizer", settings["optimizer"]) != settings["optimizer"]:
        settings["lr"] = None
    others = any(changes.get(name, settings[name]) != settings[name] for name in ("model", "style_loss"))
    if others and settings["style_layers"] == PRESETS[settings["preset"]]["style_layers"]:
        settings["style_layers"] = None  # a preset's are for its own network and style loss
    if changes.get("unrealness") is not None:
        settings |= {**dict.fromkeys(_BALANCE), "strength": Config.strength}
    elif _BALANCE & set(changes):
        settings["unrealness"] = None
    if changes.get("preset", settings["preset"]) != settings["preset"]:
        of_painter = set() if settings["painter"] is None or has_new_painter else set(WITH_PAINTER)
        settings |= dict.fromkeys({*PRESETS[settings["preset"]], "lr", "preview_edge"} - of_painter)
    elif _SCALES & set(changes):
        settings["preview_edge"] = None
        settings |= {"coarsest_edge": None} if "scales" in changes else {}
        settings |= {"scales": None} if "coarsest_edge" in changes else {}
    elif settings["preview_edge"] is None and changes.get("painter", settings["painter"]) is None:
        settings["preview_edge"] = _preview_of(recipe, changes.get("max_long_edge"))
    return settings | dict(changes)


def _preview_of(recipe: Recipe, edge: Any) -> int | None:
    """Return the longer edge of the recipe's picture if `edge`, the new longer edge, is larger; else None."""
    own_edge: int = max(recipe.size)
    is_larger = isinstance(edge, Real) and float(edge) > own_edge and recipe.settings["size"] is None
    return own_edge if is_larger else None
