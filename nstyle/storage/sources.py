"""The files that a recipe names: their names alone, for pictures that people share, and where they are now.

A recipe comes from anywhere. What it names is opened only if its content has the SHA-256 in the recipe.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nstyle.errors import Kind, RecipeError
from nstyle.files import known_sha256
from nstyle.networks.weights_files import MODELS
from nstyle.pictures.limits import MOST_BYTES
from nstyle.settings.config import Config
from nstyle.settings.groups import SAMPLES
from nstyle.settings.options import flag
from nstyle.settings.painters import check_style_of_painter
from nstyle.settings.paths import name_of, with_paths
from nstyle.storage.layout import RECORD
from nstyle.storage.recipe import OF_THE_END, Recipe, read_recipe, settings_to_repeat


def settings_of(
    content_image: str | Path | None,
    style_image: str | Path | None,
    recipe: str | Path | None,
    options: Mapping[str, Any],
) -> tuple[Config, Recipe | None]:
    """Return the settings that the arguments of `nstyle.stylize` mean, and the recipe that supplied some of them.

    Raises:
        NStyleError: as `settings_to_follow`, and if the recipe cannot be read, a setting is out of range, or the
            style of a painter is missing.
        TypeError: an option does not exist.

    """
    named = {"content_image": content_image, "style_image": style_image}
    given = {**options, **{name: path for name, path in named.items() if path is not None}}
    followed = None
    if recipe is not None:
        followed = read_recipe(Path(recipe))
        given = settings_to_follow(followed, Path(recipe), given)
    check_style_of_painter(given)
    return Config(**given), followed


def settings_to_follow(recipe: Recipe, path: Path, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that make the picture of a recipe file again, with some changes.

    The files that the recipe names are looked for where they were, at the same place relative to the recipe's folder,
    where the record beside the picture says, and by name: in the recipe's folder, the working folder, and among the
    samples. The first with the recipe's SHA-256 is taken. `recipe.settings_to_repeat` says what else follows from the
    changes. With `resume`, the run that the picture is of continues, unless the changes name another folder. It ends
    as its record says, because the recipe of a picture of an unfinished run ends at that picture.

    Args:
        recipe: the recipe.
        path: the file that it was read from.
        changes: settings that replace the recipe's.

    Raises:
        RecipeError: a file is missing or has another content, the recipe's network is a function that the changes do
            not name, or there is no run to resume in the recipe's folder.

    """
    settings_to_repeat(recipe, changes)  # its errors are more important than a missing file
    path = path.absolute()
    folder = None
    if changes.get("resume"):
        folder, recipe = _run_to_resume(recipe, path, changes.get("output_dir"))
    found = replace(recipe, settings=_located(recipe, path, changes))
    settings = settings_to_repeat(found, changes)
    return settings if folder is None else settings | {"output_dir": folder}


def _run_to_resume(recipe: Recipe, path: Path, output_dir: str | Path | None) -> tuple[Path, Recipe]:
    """Return the folder of the run to resume, and the recipe with the end that the run's record names.

    Args:
        recipe: the recipe.
        path: the file that it was read from.
        output_dir: the folder that the user names; None: that of the run that the picture is of.

    Raises:
        RecipeError: the user names no folder, and there is no record beside the picture.

    """
    records = _places_of_record(path) if output_dir is None else [Path(output_dir) / RECORD]
    for record, recorded in _readable(records):
        if not recipe.differences(recorded, may_differ=OF_THE_END):
            end = {name: recorded.settings[name] for name in OF_THE_END}
            return record.parent, replace(recipe, settings={**recipe.settings, **end})
    if output_dir is not None:
        return Path(output_dir), recipe
    if not records[0].is_file():
        raise RecipeError(
            f"{path.parent} holds no run to resume (no {RECORD}); name the {RECORD} of a run, or leave out --resume",
            flag="--resume",
            path=path.parent,
            kind=Kind.MISSING,
        )
    return path.parent, recipe


def _located(recipe: Recipe, path: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the recipe's settings with the paths at which its files are now, except for the settings in `given`."""
    settings = {name: value for name, value in recipe.settings.items() if name != "output_dir"}
    if given.get("size", settings["size"]) is not None:
        del settings["content_image"]  # a texture has none
    # The picture was not made from some of its files, so their hashes are unknown; the next may not need some.
    before, now = _unused(settings), _unused(settings_to_repeat(recipe, given))
    unused = before | now | ({"weights"} if "style_image" in now - before else set())
    settings = {name: value for name, value in settings.items() if name not in unused}
    records = [(path, recipe), *_readable(record for record in _places_of_record(path) if record != path)]

    def locate(name: str, was: str) -> str:
        setting = name.partition("[")[0]
        if setting in given:
            return was
        known = recipe.weights if name == "weights" else recipe.inputs.get(name, {})
        return str(_find(name, flag(setting), known.get("sha256", ""), was, records))

    return with_paths(settings, locate)


def _unused(settings: Mapping[str, Any]) -> set[str]:
    """Return the names of the settings of files that a painter's painting is not made from."""
    if settings["painter"] is None:
        return set()
    return {"init"} if settings["max_num_epochs"] else {"init", "style_image", "blend_style", "style_mask"}


def _places_of_record(path: Path) -> list[Path]:
    """Return where the record of a picture's run may be: in its folder, or in the folder of a batch's copy."""
    return [path.with_name(RECORD), path.with_suffix("") / RECORD]


def _readable(records: Iterable[Path]) -> Iterator[tuple[Path, Recipe]]:
    """Yield the records that exist and that this nstyle can use."""
    for record in records:
        if record.is_file():
            try:
                yield record, read_recipe(record)
            except RecipeError:  # of another program
                continue


def _find(name: str, flag_: str, sha256: str, was: str, records: list[tuple[Path, Recipe]]) -> Path:
    """Return the file with this hash.

    Raises:
        RecipeError: there is none.

    """
    places = list(dict.fromkeys(_places(name, sha256, was, records)))
    for place in places:
        if _has_content(place, sha256):
            return place
    recipe_file = records[0][0]
    for place in places:
        if place.is_file() and sha256:
            raise RecipeError(
                f"{place} is not the file that {recipe_file} was made with: its content is another; "
                f"put the former file there, or choose with {flag_}",
                flag=flag_,
                path=place,
                kind=Kind.CONFLICT,
            )
    raise RecipeError(
        f"{recipe_file} was made with {places[0]}, which is not there, nor beside the recipe or in this folder; "
        f"give {flag_}",
        flag=flag_,
        path=places[0],
        kind=Kind.MISSING,
    )


def _places(name: str, sha256: str, was: str, records: list[tuple[Path, Recipe]]) -> Iterator[Path]:
    """Yield the places where a file may be: absolute paths first, then relative ones, then names."""
    texts = {was: records[0]}
    for record, recipe in records:
        inputs = [entry["path"] for entry in [*recipe.inputs.values(), recipe.weights] if entry["sha256"] == sha256]
        texts |= dict.fromkeys(inputs, (record, recipe))
    yield from (Path(text) for text in texts if Path(text).is_absolute())
    here = Path.cwd()
    for text, (record, recipe) in texts.items():
        output_dir = str(recipe.settings["output_dir"])
        if os.path.isabs(text) == os.path.isabs(output_dir):
            yield Path(os.path.abspath(record.parent / os.path.relpath(text, output_dir)))
        if not os.path.isabs(text):
            yield from (record.parent / text, here / text)
    recipe_folder, own_name = records[0][0].parent, name_of(was)
    yield from (recipe_folder / own_name, here / own_name, SAMPLES / own_name)
    if name in ("weights", "painter"):
        yield from (recipe_folder / MODELS / own_name, here / MODELS / own_name)


def _has_content(path: Path, sha256: str) -> bool:
    """Tell whether this is an ordinary file with this hash. No device, pipe, or system file without end is opened."""
    try:
        status = path.stat()
        return stat.S_ISREG(status.st_mode) and 0 < status.st_size <= MOST_BYTES and known_sha256(path) == sha256
    except (OSError, ValueError):  # not readable; or no name of a file, such as one with a null character
        return False
