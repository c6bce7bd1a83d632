"""Networks by name: nstyle's own, those that other packages register, and functions of the user's. Knows no tensors.

A package registers a network as an entry point of the group `nstyle.models`; a function that is not registered is
named `module:function`. Either way it is a function from `model.ModelOptions` to `model.Model`.
"""

import re
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from nstyle.errors import Kind, OptionError

GROUP = "nstyle.models"
"""The group of entry points that other packages register their networks in."""

OWN = {"vgg19": "nstyle.networks.model:vgg19", "filters": "nstyle.networks.filter_bank:filter_bank"}
"""nstyle's own networks."""


def _registered() -> dict[str, str]:
    """Return {name: "module:function"} of every network. No package can replace a network of nstyle's own."""
    return {point.name: point.value for point in entry_points(group=GROUP)} | OWN


def where(name: str) -> str:
    """Return the "module:function" that a name of a network means, without importing it.

    Raises:
        OptionError: there is no network of that name; the message lists those there are.

    """
    if ":" in name:
        if not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*", name):
            raise OptionError(
                f"--model must be a name or module:function, not {name!r}", flag="--model", kind=Kind.UNSUPPORTED
            )
        return name
    if name in OWN:
        return OWN[name]
    registered = _registered()
    if name not in registered:
        raise OptionError(
            f"--model: no network {name!r}; there are {', '.join(registered)}, or module:function",
            flag="--model",
            kind=Kind.UNKNOWN,
        )
    return registered[name]


def find(name: str) -> Any:
    """Import and return what a name of a network means. Errors that its module raises are not caught.

    Raises:
        OptionError: there is no such name, module or function.

    """
    module_name, _, attribute = where(name).partition(":")
    try:
        found: Any = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # the module is there, and wants another that is not
        raise OptionError(
            f"--model {name}: no module {error.name!r}; is it installed, or on PYTHONPATH?",
            flag="--model",
            kind=Kind.MISSING,
        ) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise OptionError(
                f"--model {name}: {module_name} has no {attribute!r}; check the function's name",
                flag="--model",
                kind=Kind.UNKNOWN,
            )
        found = getattr(found, part)
    if not callable(found):
        raise OptionError(
            f"--model {name}: {attribute} in {module_name} is no function; name one that loads a network",
            flag="--model",
            kind=Kind.UNSUPPORTED,
        )
    return found
