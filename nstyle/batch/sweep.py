"""Sweeps: a painting with every combination of some settings, small, and a contact sheet to choose from."""

import dataclasses
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nstyle.batch.jobs import Job, Names, plan, unlike
from nstyle.errors import Kind, OptionError
from nstyle.settings.config import Config
from nstyle.settings.options import flag, option

LONG_EDGE = 192
"""Of the paintings, unless another is asked for."""

FOLDER, SHEET = "sweep", "sweep.png"
"""Where the paintings go, and the sheet, in the output folder."""

_WHOLE = (int, int | None, int | tuple[int, ...])
"""Types of settings whose values are swept as whole numbers: of a list of numbers each is a value of its own."""

_SWEPT = {
    field.name: float if field.type is float else int if field.type in _WHOLE else str
    for field in dataclasses.fields(Config)
    if field.type in (*_WHOLE, float, str, int | str | None, str | None) and option(field).recorded
}


@dataclass(frozen=True)
class Sweep:
    """The combinations.

    Attributes:
        jobs: the painting of each, the last setting's values next to each other.
        labels: of each what was set, a line a setting.
        columns: how many values the last setting has.
        sheet: the contact sheet's file.

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
    """Return the paintings of every combination of the values that each of `sweeps` gives a setting.

    Args:
        content: the picture to paint: only one.
        style: likewise.
        settings: all others of `Config`.
        sweeps: `style-weight=0.5,1,2`, each of another setting.
        complete: makes all settings of those that are given and swept, as a recipe does.

    Raises:
        OptionError: a sweep cannot be parsed, or a combination of settings is impossible.
        ImageError: see `jobs.plan`.

    """
    values: dict[str, list[Any]] = {}
    for text in sweeps:
        name, found = _parse(text)
        if name in values:
            raise _refusal(f"--sweep {text}: {name} is swept already; give all its values at once", Kind.CONFLICT)
        values[name] = found
    settings = {"max_long_edge": LONG_EDGE, **settings}
    jobs, labels = [], []
    for combination in itertools.product(*values.values()):
        chosen = dict(zip(values, combination, strict=True))
        one, *others = plan(content, style, complete({**settings, **chosen}))
        if others:
            raise _refusal(
                f"--sweep is for a single pair of pictures, not {1 + len(others)}; name one of each", Kind.CONFLICT
            )
        jobs.append(one)
        labels.append("\n".join(f"{flag(name)[2:]} {_word(value)}" for name, value in chosen.items()))
    output = jobs[0].config.output_dir
    names = unlike([re.sub(r"[/\\\0]", "-", label.replace(" ", "=").replace("\n", "_")) for label in labels])
    jobs = [
        dataclasses.replace(
            job,
            config=dataclasses.replace(job.config, output_dir=output / FOLDER / name),
            title=f"{job.title}, {label.replace(chr(10), ', ')}",
        )
        for job, name, label in zip(jobs, names, labels, strict=True)
    ]
    return Sweep(jobs, labels, len([*values.values()][-1]), output / SHEET)


def _parse(text: str) -> tuple[str, list[Any]]:
    """Return the setting and its values."""
    name, equals, listed = text.partition("=")
    setting = name.strip().removeprefix("--").replace("-", "_")
    if not equals or not listed:
        raise _refusal(f"--sweep must be like style-weight=0.5,1,2, not {text!r}", Kind.OUT_OF_RANGE)
    if setting not in _SWEPT:
        raise _refusal(f"--sweep: {name!r} is no setting that takes a number or a word", Kind.UNKNOWN)
    values: list[Any] = []
    for word in listed.split(","):
        try:
            value = _SWEPT[setting](word.strip())
        except ValueError:
            raise _refusal(f"--sweep {text}: {word!r} is no value for {flag(setting)}", Kind.OUT_OF_RANGE) from None
        if value not in values:
            values.append(value)
    return setting, values


def _refusal(message: str, kind: Kind) -> OptionError:
    """Return the error that says that `--sweep` cannot be followed."""
    return OptionError(message, flag="--sweep", kind=kind)


def _word(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
