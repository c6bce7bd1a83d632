"""The command `nstyle-train`: flags, progress and exit codes."""

import dataclasses
import logging
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import nstyle
from nstyle.commands import flags
from nstyle.commands.importing import importing_torch
from nstyle.commands.log_lines import printed_log
from nstyle.commands.parser import Parser
from nstyle.commands.terminal import (
    complain,
    complain_of_current_folder,
    complain_of_interrupt,
    quiet_libraries,
    signals_as_interrupts,
)
from nstyle.errors import NStyleError, OptionError
from nstyle.painter.training_plan import plan_training
from nstyle.settings.config import Config
from nstyle.settings.effects import without_effect
from nstyle.settings.groups import EVERYDAY
from nstyle.settings.options import option
from nstyle.settings.training import OBJECTIVE_DEFAULTS, OF_THE_OBJECTIVE, STYLE_WEIGHT_OF_BOOSTED, Training

if TYPE_CHECKING:
    from nstyle.painter.train import Trained

_log = logging.getLogger(__name__)

COMMAND = "nstyle-train"

DESCRIPTION = f"""\
Train a painter: a network that paints any picture in one style, in one pass.

examples:
  {COMMAND} --style-image oil.jpg --photos photos/ --output models/oil.safetensors
  {COMMAND} --style-image ink.jpg --photos photos/ --output models/ink.safetensors --minutes 30

A few dozen photos of all kinds suffice.
"""

EPILOG = """\
The painter is saved every --save-steps. The folder beside it, models/oil.training, has a photo as the painter paints
it (nstyle-view shows it), the losses of each step, and the state. Ctrl-C stops early and keeps the painter so far;
the same command continues.

exit codes: as those of nstyle
"""


def build_parser() -> Parser:
    """Make the parser. Of the settings, only those that are given appear in its result."""
    parser = Parser(
        prog=COMMAND,
        usage=f"{COMMAND} --style-image STYLE --photos FOLDER ... --output PATH [--flag VALUE ...]",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=_Formatter,
        allow_abbrev=False,
        add_help=False,
    )
    groups: dict[str, Any] = {EVERYDAY: parser.add_argument_group(EVERYDAY)}
    groups[EVERYDAY].add_argument(
        "--photos",
        nargs="+",
        action="extend",
        metavar="PATH",
        help="the photos to learn from: pictures, folders or globs",
    )
    of_paintings = {field.name: field for field in dataclasses.fields(Config)}
    for field in (*dataclasses.fields(Training), *(of_paintings[name] for name in OF_THE_OBJECTIVE)):
        group = option(field).group
        if group not in groups:
            groups[group] = parser.add_argument_group(group)
        flags.add_setting(groups[group], field)
    messages = parser.add_argument_group("messages")
    flags.add_loudness(messages, "print every step")
    messages.add_argument(
        "--version", action="version", version=f"{COMMAND} {nstyle.__version__}", help="print the version"
    )
    messages.add_argument("-h", "--help", action="help", help="print this help")
    return parser


class _Formatter(flags.Formatter):
    """Adds each setting's default to its help."""

    def defaults(self) -> Mapping[str, str]:
        """Return each setting's default in words."""
        own = {field.name: flags.default_text(field) for field in dataclasses.fields(Training)}
        weight = f"{flags.DEFAULTS['style_weight']}; boosted: {STYLE_WEIGHT_OF_BOOSTED:g}"
        return {**flags.DEFAULTS, **own, **OBJECTIVE_DEFAULTS, "style_weight": weight}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (None: the process's own). Return its exit code."""
    parser = build_parser()
    arguments = vars(parser.parse(argv))
    quiet, verbose = arguments.pop("quiet"), arguments.pop("verbose")
    with quiet_libraries(), printed_log(quiet=quiet, verbose=verbose), signals_as_interrupts():
        try:
            for line in parser.replaced:
                _log.warning("%s", line)
            trained = _train(arguments, quiet=quiet, verbose=verbose)
            if trained.is_new:
                _log.info("done after %d steps: %s", trained.steps, trained.path)
            else:
                _log.info("already finished: %s; add --overwrite to train it again", trained.path)
        except FileNotFoundError as error:
            return complain_of_current_folder(COMMAND, error)
        except OptionError as error:
            return complain(COMMAND, str(error), 2)
        except NStyleError as error:
            return complain(COMMAND, str(error), 1)
        except KeyboardInterrupt as interrupt:
            return complain_of_interrupt(COMMAND, interrupt)
    return 0


def _train(arguments: dict[str, Any], *, quiet: bool, verbose: bool) -> "Trained":
    """Train the painter that the arguments ask for."""
    plan = plan_training(arguments.pop("photos"), arguments)
    for sentence in without_effect(plan.of_the_objective, [plan.painting()]):
        _log.warning("%s", sentence)
    with importing_torch():
        from nstyle.commands.progress import TrainingBar, TrainingLines
        from nstyle.painter.train_painter import run_training
        from nstyle.painting.session import Session

    has_bar = sys.stdout is not None and sys.stdout.isatty() and not verbose
    progress = None if quiet else TrainingBar if has_bar else TrainingLines
    return run_training(plan, progress=progress, session=Session(owns_process=True))
