"""How a setting is declared and checked. Knows no setting by name."""

import contextlib
import dataclasses
import math
import numbers
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nstyle.errors import Kind, OptionError

MXNET, OURS = "MXNet", "nstyle"
"""Whose a default is."""


@dataclass(frozen=True)
class Option:
    """What is known of a setting besides its name, type and default.

    Attributes:
        help: what it means, as `--help` shows it.
        origin: whose the default is: "MXNet" (the reference's own) or "nstyle".
        group: the heading in `--help`.
        choices: the allowed words, if it is a word.
        at_least: the smallest allowed number.
        above: a number that is itself too small.
        at_most: the largest allowed number.
        metavar: the placeholder in `--help`; of a pair, both.
        recorded: whether a recipe holds it.
        several: whether the command takes several, for a run each.

    """

    help: str
    origin: str
    group: str
    choices: tuple[str, ...] = ()
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    metavar: str | tuple[str, str] | None = None
    recorded: bool = True
    several: bool = False


def setting(default: Any, help_: str, origin: str, group: str, **limits: Any) -> Any:
    """Declare a setting: a dataclass field. A default of None leaves it open: it depends on other settings."""
    return dataclasses.field(
        default=default, metadata={"option": Option(help=help_, origin=origin, group=group, **limits)}
    )


def option(field: "dataclasses.Field[Any]") -> Option:
    """Return what a field of `Config` declares of itself."""
    declared: Option = field.metadata["option"]
    return declared


def flag(name: str) -> str:
    """Return the command's flag for a setting: `max_long_edge` is `--max-long-edge`."""
    return "--" + name.replace("_", "-")


class DefaultInt(int):
    """A whole number that a setting has by default: see `default_of`."""


class DefaultFloat(float):
    """A number that a setting has by default: see `default_of`."""


class DefaultStr(str):
    """A word that a setting has by default: see `default_of`."""

    __slots__ = ()


class DefaultTuple(tuple[Any, ...]):
    """Several values that a setting has by default: see `default_of`."""

    __slots__ = ()


_MARKED: dict[type, type] = {int: DefaultInt, float: DefaultFloat, str: DefaultStr, tuple: DefaultTuple}


def default_of(value: Any) -> Any:
    """Return a value that a setting has by default with a mark, by which `is_default` knows it; it stays equal."""
    return _MARKED[type(value)](value) if type(value) in _MARKED else value


def is_default(value: Any) -> bool:
    """Tell whether a value carries a default's mark."""
    return isinstance(value, tuple(_MARKED.values()))


def is_repeatable(type_: Any) -> bool:
    """Tell whether a setting of this type is a tuple of pairs: a flag with two values that may be repeated."""
    return typing.get_origin(type_) is tuple


def checked(flag_: str, type_: Any, value: Any, declared: Option) -> Any:
    """Return the value in its own type.

    Raises:
        OptionError: it has another type, or is out of range.

    """
    if value is None and type_ in (int | None, int | str | None, str | None, Path | None):
        return None
    if type_ is bool:
        if not isinstance(value, bool):
            raise OptionError(f"{flag_} must be True or False, not {value!r}", flag=flag_, kind=Kind.OUT_OF_RANGE)
        return value
    if is_repeatable(type_):
        return _checked_pairs(flag_, type_, value, declared)
    if type_ == int | tuple[int, ...]:
        return _checked_list(flag_, value, declared)
    if type_ in (Path, Path | None):
        if not isinstance(value, str | Path) or not str(value):
            raise OptionError(f"{flag_} must be a path, not {value!r}", flag=flag_, kind=Kind.OUT_OF_RANGE)
        return Path(value)
    if type_ == int | str | None:
        if value in declared.choices:
            return value
        value = int(value) if isinstance(value, str) and value.isdecimal() else value
    if type_ in (int, int | None, int | str | None, float):
        return _checked_number(flag_, float if type_ is float else int, value, declared)
    if not isinstance(value, str | Path) or not str(value):
        raise OptionError(f"{flag_} must be text, not {value!r}", flag=flag_, kind=Kind.OUT_OF_RANGE)
    if declared.choices and value not in declared.choices:
        raise OptionError(
            f"{flag_} must be {' or '.join(declared.choices)}, not {value!r}", flag=flag_, kind=Kind.OUT_OF_RANGE
        )
    return str(value)


def _checked_pairs(flag_: str, type_: Any, value: Any, declared: Option) -> tuple[tuple[Any, Any], ...]:
    """Return a sequence of pairs as tuples, each part in its own type; numbers may be text, as a command has them."""
    words = " ".join(declared.metavar or ())
    pair_type, _ = typing.get_args(type_)
    if not isinstance(value, list | tuple):
        raise OptionError(
            f"{flag_} must be a list of pairs {words}, not {value!r}", flag=flag_, kind=Kind.OUT_OF_RANGE
        )
    pairs = []
    for pair in value:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise OptionError(f"{flag_} takes a pair {words}, not {pair!r}", flag=flag_, kind=Kind.OUT_OF_RANGE)
        first_type, second_type = typing.get_args(pair_type)
        first, second = pair
        if second_type is float and isinstance(second, str):
            try:
                second = float(second)
            except ValueError:
                raise OptionError(
                    f"{flag_} takes a pair {words}; {second!r} is no number", flag=flag_, kind=Kind.OUT_OF_RANGE
                ) from None
        pairs.append((checked(flag_, first_type, first, declared), checked(flag_, second_type, second, declared)))
    return tuple(pairs)


def _checked_list(flag_: str, value: Any, declared: Option) -> int | tuple[int, ...]:
    """Return one whole number, or several as a tuple; they may be text, as a command has them: 60,30."""
    if isinstance(value, str):
        value = value.split(",")
    numbers = value if isinstance(value, list | tuple) else [value]
    if not numbers:
        raise OptionError(f"{flag_} must be a whole number, or several; not none", flag=flag_, kind=Kind.OUT_OF_RANGE)
    found = []
    for number in numbers:
        with contextlib.suppress(ValueError):
            number = int(number) if isinstance(number, str) else number
        found.append(int(_checked_number(flag_, int, number, declared)))
    return tuple(found) if len(found) > 1 else found[0]


def _checked_number(flag_: str, type_: type[int] | type[float], value: Any, declared: Option) -> float:
    bounds = {"at least": declared.at_least, "above": declared.above, "at most": declared.at_most}
    wanted = f"{flag_} must be a {'whole' if type_ is int else 'finite'} number"
    if declared.choices:
        wanted = f"{flag_} must be {' or '.join(declared.choices)}, or a whole number"
    if limits := " and ".join(f"{words} {bound:g}" for words, bound in bounds.items() if bound is not None):
        wanted += f", {limits}"
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if (
        not is_number
        or not -math.inf < value < math.inf
        or (type_ is int and value != int(value))
        or (declared.at_least is not None and value < declared.at_least)
        or (declared.above is not None and value <= declared.above)
        or (declared.at_most is not None and value > declared.at_most)
    ):
        raise OptionError(f"{wanted}; not {value!r}", flag=flag_, kind=Kind.OUT_OF_RANGE)
    return type_(value)
