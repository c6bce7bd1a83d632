"""Sweeps: small paintings with every combination of some settings, and a contact sheet to choose from."""

import dataclasses
import itertools
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nstyle.batch.jobs import Job, choose, plan
from nstyle.batch.naming import unlike, valid
from nstyle.errors import Kind, OptionError, OutputError
from nstyle.painting.selection import Names
from nstyle.settings.config import Config
from nstyle.settings.options import flag, option
from nstyle.settings.suggestions import nearest_flag
from nstyle.storage.outputs import SWEEP_FOLDER, SWEEP_SHEET, is_sheet

LONG_EDGE = 192
"""Default `max_long_edge` of a sweep's paintings, in pixels: small, because there are many."""

_WHOLE = (int, int | None, int | tuple[int, ...])
"""Types of the settings that are swept as integers. A comma separates two values, even if a value may be a list."""

_FLOAT = (float, float | None)

_SWEPT = {
    field.name: float if field.type in _FLOAT else int if field.type in _WHOLE else str
    for field in dataclasses.fields(Config)
    if field.type in (*_WHOLE, *_FLOAT, str, int | str | None, str | None) and option(field).recorded
}

_SEPARATORS = {field.name: option(field).separator for field in dataclasses.fields(Config)}


@dataclass(frozen=True)
class Sweep:
    """The paintings of a sweep.

    Attributes:
        jobs: one for each combination of values; the last setting varies fastest.
        labels: the values of each job, one line per setting.
        columns: the number of values of the last setting.
        sheet: the file of the contact sheet.

    """

    jobs: list[Job]
    labels: list[str]
    columns: int
    sheet: Path


def plan_sweep(
    content: Names,
    style: Names,
    settings: Mapping[str, Any],
    sweeps: Sequence[str],
    complete: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict,
) -> Sweep:
    """Return a painting for every combination of the swept values.

    Args:
        content: the picture to paint; only one.
        style: the style picture; only one.
        settings: the other settings of `Config`.
        sweeps: texts such as `style-weight=0.5,1,2`, one for each setting.
        complete: function that adds the missing settings to the given and swept ones, for example from a recipe.

    Raises:
        OptionError: a sweep cannot be parsed, or a combination of settings is impossible.
        ImageError: see `jobs.plan`.
        OutputError: the contact sheet would replace a file that is no contact sheet of nstyle, or an input picture.

    """
    values: dict[str, list[Any]] = {}
    for text in sweeps:
        name, found = _parse(text)
        if name in values:
            raise _refusal(f"--sweep {text}: {name} has two sweeps; list all its values in one", Kind.CONFLICT)
        values[name] = found
    settings = {"max_long_edge": LONG_EDGE, **settings}
    contents, styles = (one.paths for one in choose(content, style, complete(settings)))
    jobs, labels = [], []
    for combination in itertools.product(*values.values()):
        chosen = dict(zip(values, combination, strict=True))
        one, *others = plan(contents, styles, complete({**settings, **chosen}))
        if others:
            raise _refusal(
                f"--sweep needs one content and one style picture, but you named {1 + len(others)} pairs",
                Kind.CONFLICT,
            )
        jobs.append(one)
        labels.append("\n".join(f"{flag(name)[2:]} {_word(value)}" for name, value in chosen.items()))
    output = jobs[0].config.output_dir
    names = unlike([valid(re.sub(r"[/\\\0]", "-", label.replace(" ", "=").replace("\n", "_"))) for label in labels])
    jobs = [
        dataclasses.replace(
            job,
            config=dataclasses.replace(job.config, output_dir=output / SWEEP_FOLDER / name),
            title=f"{job.title}, {label.replace(chr(10), ', ')}",
        )
        for job, name, label in zip(jobs, names, labels, strict=True)
    ]
    sheet = output / SWEEP_SHEET
    _check_sheet(sheet, [*contents, *styles])
    return Sweep(jobs, labels, len([*values.values()][-1]), sheet)


def _check_sheet(sheet: Path, inputs: Sequence[Path]) -> None:
    """Make sure that the contact sheet replaces nothing but an earlier one.

    Raises:
        OutputError: another file is in the way.

    """
    is_input = os.path.abspath(sheet) in map(os.path.abspath, inputs)
    if os.path.lexists(sheet) and (is_input or not is_sheet(sheet)):
        what = "an input picture" if is_input else "not a contact sheet of nstyle"
        raise OutputError(
            f"{sheet} is {what}, but the sweep needs this name; move it away, or choose another --output-dir",
            flag="--output-dir",
            path=sheet,
            kind=Kind.IN_THE_WAY,
        )


def swept_setting(text: str) -> str:
    """Return the name of the setting in a text such as `style-weight=0.5,1,2`, whether there is one or not."""
    return text.partition("=")[0].strip().removeprefix("--").replace("-", "_")


def _parse(text: str) -> tuple[str, list[Any]]:
    """Parse `name=value,value` or `name=value;value`; return the setting and its values without duplicates.

    A value that contains a comma stays text, for `Config` to refuse.
    """
    name, equals, listed = text.partition("=")
    setting = swept_setting(text)
    if not equals or not listed:
        raise _refusal(f"--sweep needs a form like style-weight=0.5,1,2, not {text!r}", Kind.OUT_OF_RANGE)
    if setting not in _SWEPT:
        raise _refusal(
            f"--sweep cannot vary {name!r}; choose a flag that takes a number or a word"
            f"{nearest_flag(setting, [name.replace('_', '-') for name in _SWEPT])}",
            Kind.UNKNOWN,
        )
    values: list[Any] = []
    separator = ";" if ";" in listed else _SEPARATORS[setting]
    for word in listed.split(separator):
        try:
            value = word.strip() if "," in word else _SWEPT[setting](word.strip())
        except ValueError:
            raise _refusal(f"--sweep {text}: {word!r} is not valid for {flag(setting)}", Kind.OUT_OF_RANGE) from None
        if value not in values:
            values.append(value)
    return setting, values


def _refusal(message: str, kind: Kind) -> OptionError:
    """Return an error about `--sweep`."""
    return OptionError(message, flag="--sweep", kind=kind)


def _word(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
