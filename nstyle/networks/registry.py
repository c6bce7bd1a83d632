"""Networks by name: nstyle's own, those that other packages register, and the user's functions. Imports no torch.

A network is a function from `model.ModelOptions` to `model.Model`. A package registers it as an entry point of the
group `nstyle.models`. An unregistered function is named `module:function`.
"""

import inspect
import re
import sys
import traceback
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
    """Import and return the function of a network. It takes one argument, the `ModelOptions`.

    Raises:
        OptionError: the name, module or function does not exist, the module cannot be imported (the message says
            where it fails), or the function cannot be one that loads a network.

    """
    module_name, _, attribute = where(name).partition(":")
    if module_name.partition(".")[0] in sys.stdlib_module_names:
        raise _refusal(f"--model {name}: {module_name} is a module of Python itself and has no networks")
    found = _imported(module_name, name)
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise OptionError(
                f"--model {name}: {module_name} has no {attribute!r}; check the function's name",
                flag="--model",
                kind=Kind.UNKNOWN,
            )
        found = getattr(found, part)
    if not callable(found):
        raise _refusal(f"--model {name}: {attribute} in {module_name} is not a function")
    try:
        inspect.signature(found).bind(None)
    except (TypeError, ValueError) as error:
        raise _refusal(f"--model {name}: {attribute} does not take one argument, the nstyle.ModelOptions") from (
            error
        )
    return found


def _imported(module_name: str, name: str) -> Any:
    """Import the module of the network `name`."""
    try:
        return import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            raise OptionError(
                f"--model {name}: there is no module {error.name!r}; install it or put it on PYTHONPATH",
                flag="--model",
                kind=Kind.MISSING,
            ) from error
        raise _broken(name, module_name, error) from error
    except (Exception, SystemExit) as error:  # the module is not ours: anything can go wrong in it
        raise _broken(name, module_name, error) from error


def _broken(name: str, module_name: str, error: BaseException) -> OptionError:
    """Return the error for a module that fails when it is imported; it names the file and line of the failure."""
    if isinstance(error, SyntaxError):
        place = f"{error.filename}, line {error.lineno}"
    else:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<")]
        place = f"{frames[-1].filename}, line {frames[-1].lineno}"
    what = (str(error).splitlines() or [""])[0]
    return OptionError(
        f"--model {name}: importing {module_name} fails with {type(error).__name__}: {what} "
        f"({place}); mend that file",
        flag="--model",
        kind=Kind.DAMAGED,
    )


def _refusal(what: str) -> OptionError:
    """Return the error for a `module:function` that is no network."""
    return OptionError(
        f"{what}; name a function from nstyle.ModelOptions to nstyle.Model", flag="--model", kind=Kind.UNSUPPORTED
    )
