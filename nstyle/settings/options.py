"""How a setting is declared and checked. This module knows no setting by name."""

import contextlib
import dataclasses
import math
import numbers
import re
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nstyle.errors import Kind, OptionError

MXNET, OURS = "MXNet", "nstyle"
"""The two programs that a default can come from."""


@dataclass(frozen=True)
class Option:
    """What is known about a setting besides its name, type and default.

    Attributes:
        help: what it means, for `--help`.
        origin: the program that the default comes from: "MXNet" (the reference) or "nstyle".
        group: its heading in `--help`.
        default_words: the default in words, if its value does not say it, as when it depends on other settings.
        choices: the allowed words, if it takes one of several words.
        at_least: the smallest allowed number.
        above: a lower limit that is itself not allowed.
        at_most: the largest allowed number.
        metavar: the placeholder for its value in `--help`; a pair of them if it takes two values.
        hint: what to do instead, added to the error if a value is not a number.
        recorded: whether a recipe contains it.
        several: whether the flag takes several values, each of which makes its own painting.
        separator: what stands between its values in a sweep.

    """

    help: str
    origin: str
    group: str
    default_words: str = ""
    choices: tuple[str, ...] = ()
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    metavar: str | tuple[str, str] | None = None
    hint: str = ""
    recorded: bool = True
    several: bool = False
    separator: str = ","


def setting(default: Any, help_: str, origin: str, group: str, **more: Any) -> Any:
    """Declare a setting as a dataclass field.

    Args:
        default: the default; None leaves the setting open, and other settings decide its value.
        help_: see `Option.help`.
        origin: see `Option.origin`.
        group: see `Option.group`.
        more: the other attributes of `Option`.

    """
    return dataclasses.field(
        default=default, metadata={"option": Option(help=help_, origin=origin, group=group, **more)}
    )


def option(field: "dataclasses.Field[Any]") -> Option:
    """Return the declaration of a field of `Config`."""
    declared: Option = field.metadata["option"]
    return declared


def flag(name: str) -> str:
    """Return the command's flag for a setting: `max_long_edge` is `--max-long-edge`, `from_` is `--from`."""
    return "--" + name.rstrip("_").replace("_", "-")


class DefaultInt(int):
    """A whole number that is a setting's default; see `default_of`."""


class DefaultFloat(float):
    """A number that is a setting's default; see `default_of`."""


class DefaultStr(str):
    """A word that is a setting's default; see `default_of`."""

    __slots__ = ()


class DefaultTuple(tuple[Any, ...]):
    """Several values that are a setting's default; see `default_of`."""

    __slots__ = ()


_MARKED: dict[type, type] = {int: DefaultInt, float: DefaultFloat, str: DefaultStr, tuple: DefaultTuple}


def default_of(value: Any) -> Any:
    """Mark a value as a default, so that `is_default` recognizes it. The result equals the value."""
    return _MARKED[type(value)](value) if type(value) in _MARKED else value


def is_default(value: Any) -> bool:
    """Tell whether a value is marked as a default."""
    return isinstance(value, tuple(_MARKED.values()))


def is_repeatable(type_: Any) -> bool:
    """Tell whether a setting of this type is a tuple of pairs: its flag takes two values and may be repeated."""
    return typing.get_origin(type_) is tuple


def nearest(word: str, known: Iterable[str]) -> str:
    """Return "; did you mean X?" for the known word that is most like this one; "" if none is like it.

    A known word that begins with this one counts as the most alike.
    """
    from difflib import get_close_matches  # late: only an error needs it

    known = list(known)
    like = [one for one in known if len(word) > 2 and one.startswith(word)]
    like += get_close_matches(word.lower(), known, n=1)
    return f"; did you mean {like[0]}?" if like else ""


def check_not_url(flag_: str, value: str | Path) -> None:
    """Check that a file is not named by a URL. A URL in a `Path` has lost one slash, and counts, too.

    Raises:
        OptionError: it is a URL.

    """
    if re.match(r"(?i)(https?|ftp|file|s3|gs):/", str(value)):
        way_out = (
            "nstyle writes into folders, not to URLs: choose a folder of this machine"
            if flag_ in ("--output-dir", "--output")
            else "nstyle reads files, not URLs: download it first"
        )
        raise OptionError(f"{flag_} {value}: {way_out}", flag=flag_, kind=Kind.UNSUPPORTED)


def checked(flag_: str, type_: Any, value: Any, declared: Option) -> Any:
    """Return the value in its setting's type.

    Args:
        flag_: the flag, for the errors.
        type_: the setting's type.
        value: the value as given.
        declared: the setting's limits.

    Raises:
        OptionError: the value has another type or is out of range.

    """
    if value is None and type_ in (int | None, int | str | None, float | None, str | None, Path | None):
        return None
    if type_ is bool:
        if not isinstance(value, bool):
            raise OptionError(f"{flag_} must be True or False, not {value!r}", flag=flag_, kind=Kind.OUT_OF_RANGE)
        return value
    if is_repeatable(type_):
        return _checked_pairs(flag_, type_, value, declared)
    if type_ == int | tuple[int, ...]:
        return _checked_list(flag_, value, declared)
    if type_ == int | str | None:
        if value in declared.choices:
            return value
        value = int(value) if isinstance(value, str) and value.isdecimal() else value
    if type_ in (int, int | None, int | str | None, float, float | None):
        return _checked_number(flag_, float if type_ in (float, float | None) else int, value, declared)
    return _checked_text(flag_, type_, value, declared)


def _checked_text(flag_: str, type_: Any, value: Any, declared: Option) -> str | Path:
    """Return a path (made absolute) or a word as its own type, if it is one of the choices and no URL."""
    is_path = type_ in (Path, Path | None)
    if value == "" and not is_path and isinstance(declared.metavar, str):
        forms = listed(tuple(declared.metavar.split("|")))
        raise OptionError(f"{flag_} is empty; give it a value: {forms}", flag=flag_, kind=Kind.OUT_OF_RANGE)
    if not isinstance(value, str | Path) or not (str(value) or declared.choices):
        raise OptionError(
            f"{flag_} must be {'a path' if is_path else 'text'}, not {value!r}", flag=flag_, kind=Kind.OUT_OF_RANGE
        )
    check_not_url(flag_, value)
    if is_path:
        return Path(value).absolute()
    if declared.choices and value not in declared.choices:
        raise OptionError(
            f"{flag_} must be {listed(declared.choices)}, not {str(value)!r}{nearest(str(value), declared.choices)}",
            flag=flag_,
            kind=Kind.OUT_OF_RANGE,
        )
    return str(value)


def listed(words: tuple[str, ...]) -> str:
    """Return the words as a list in English: "a, b or c"."""
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def _checked_pairs(flag_: str, type_: Any, value: Any, declared: Option) -> tuple[tuple[Any, Any], ...]:
    """Return a list of pairs as a tuple of tuples, each part in its own type. The command gives numbers as text."""
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
                    f"{flag_} takes a pair {words}; {second!r} is not a number", flag=flag_, kind=Kind.OUT_OF_RANGE
                ) from None
        pairs.append((checked(flag_, first_type, first, declared), checked(flag_, second_type, second, declared)))
    return tuple(pairs)


def _checked_list(flag_: str, value: Any, declared: Option) -> int | tuple[int, ...]:
    """Return one whole number, or several as a tuple. The command gives them as text: "60,30"."""
    if isinstance(value, str):
        value = value.split(",")
    numbers = value if isinstance(value, list | tuple) else [value]
    if not numbers:
        raise OptionError(f"{flag_} must be one or more whole numbers, not none", flag=flag_, kind=Kind.OUT_OF_RANGE)
    found = []
    for number in numbers:
        with contextlib.suppress(ValueError):
            number = int(number) if isinstance(number, str) else number
        found.append(int(_checked_number(flag_, int, number, declared)))
    return tuple(found) if len(found) > 1 else found[0]


def _checked_number(flag_: str, type_: type[int] | type[float], value: Any, declared: Option) -> float:
    """Return a finite number within its limits as its own type; a float of whole value counts as a whole number."""
    bounds = {"at least": declared.at_least, "above": declared.above, "at most": declared.at_most}
    wanted = f"{flag_} must be {'a whole' if type_ is int else 'a finite'} number"
    if declared.choices:
        wanted = f"{flag_} must be {listed(declared.choices)}, or a whole number"
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
        hint = f"; {declared.hint}" if declared.hint and not is_number else ""
        raise OptionError(f"{wanted}, not {value!r}{hint}", flag=flag_, kind=Kind.OUT_OF_RANGE)
    return type_(value)
