"""Scripts that complete flags in a shell. The package shtab makes them from the parser."""

import argparse
import importlib.util
from typing import Any

from nstyle.errors import Kind, OptionError

FLAG = "--print-completion"


def completion_script(parser: argparse.ArgumentParser, shell: str) -> str:
    """Return the script that completes the parser's flags and their values.

    Raises:
        OptionError: shtab is not installed, or does not know the shell.

    """
    if importlib.util.find_spec("shtab") is None:
        raise OptionError(f"{FLAG} needs shtab: pip install 'nstyle[completion]'", flag=FLAG, kind=Kind.MISSING)
    import shtab

    if shell not in shtab.SUPPORTED_SHELLS:
        known = ", ".join(shtab.SUPPORTED_SHELLS)
        raise OptionError(f"{FLAG} must be one of {known}, not {shell!r}", flag=FLAG, kind=Kind.UNKNOWN)
    for action in parser._actions:
        _describe_values(action)
    script: str = shtab.complete(parser, shell)
    return script


def _describe_values(action: Any) -> None:
    """Tell shtab how to complete an action's value, by its metavar: with files, folders or words such as "auto".

    shtab completes with one of these. If a value is a word or a file, files help more: `--help` lists the words.
    """
    import shtab

    metavars = action.metavar if isinstance(action.metavar, tuple) else (action.metavar or "",)
    words = [word for metavar in metavars for word in metavar.split("|")]
    if {"CONTENT STYLE", "PATH", "REGION"} & set(words):
        action.complete = shtab.FILE
    elif "DIR" in words:
        action.complete = shtab.DIRECTORY
    elif choices := [word for word in words if word.isalnum() and word == word.lower()]:
        action.choices = choices
