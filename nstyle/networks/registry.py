"""Networks by name: nstyle's own, those that other packages register, and the user's functions. Imports no torch.

A network is a function from `model.ModelOptions` to `model.Model`. A package registers it as an entry point of the
group `nstyle.models`. An unregistered function is named `module:function`.
"""

import re
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from nstyle.errors import Kind, OptionError

GROUP = "nstyle.models"
"""Group of entry points in which other packages register their networks."""

OWN = {"vgg19": "nstyle.networks.model:vgg19", "filters": "nstyle.networks.filter_bank:filter_bank"}
"""nstyle's own networks: {name: "module:function"}."""


def _registered() -> dict[str, str]:
    """Return {name: "module:function"} for every network. Packages cannot replace nstyle's own networks."""
    return {point.name: point.value for point in entry_points(group=GROUP)} | OWN


def where(name: str) -> str:
    """Return the "module:function" of a network, without importing it.

    Raises:
        OptionError: no network has that name; the message lists the known ones.

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
            f"--model: there is no network {name!r}; choose from {', '.join(registered)}, or give module:function",
            flag="--model",
            kind=Kind.UNKNOWN,
        )
    return registered[name]


def find(name: str) -> Any:
    """Import and return the function of a network. Errors that its module raises are not caught.

    Raises:
        OptionError: the name, module or function does not exist.

    """
    module_name, _, attribute = where(name).partition(":")
    try:
        found: Any = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # the module exists, but imports one that is missing
        raise OptionError(
            f"--model {name}: there is no module {error.name!r}; install it or put it on PYTHONPATH",
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
            f"--model {name}: {attribute} in {module_name} is not a function; name one that loads a network",
            flag="--model",
            kind=Kind.UNSUPPORTED,
        )
    return found
