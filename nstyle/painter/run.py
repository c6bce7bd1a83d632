"""Paint a picture with what the settings ask for: the optimizer, a painter, or one after the other."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nstyle.devices import choose_device
from nstyle.painter.one_pass import OnePass, load_painter
from nstyle.painting import estimate as estimates
from nstyle.painting import stylize as paintings
from nstyle.painting.estimate import Estimate
from nstyle.painting.result import Result
from nstyle.painting.session import Session
from nstyle.painting.steps import Callback, ProgressMaker
from nstyle.pictures.picture import Picture
from nstyle.settings.config import Config
from nstyle.settings.painters import find_painter
from nstyle.storage.recipe import Recipe
from nstyle.storage.sources import settings_of


def stylize(
    content_image: str | Path | None = None,
    style_image: str | Path | None = None,
    callback: Callback | None = None,
    *,
    recipe: str | Path | None = None,
    **options: Any,
) -> Result:
    """Paint one picture in the style of another, as the command does.

    Args:
        content_image: file of the picture to paint. Default: the recipe's, else nstyle's sample.
        style_image: file of the picture with the style. Default: likewise.
        callback: called with the `PaintingStep` after each epoch; `step.scale` is the current scale, `step.snapshot`
            the file just written, or None.
        recipe: a picture that nstyle wrote, or a run.json. It supplies every setting that is not given here, except
            the output folder; with `resume=True`, that is the recipe's.
        options: the command's flags with underscores, `max_long_edge=400, output_dir="output"`; see `Config`.

    Raises:
        NStyleError: the message is one line that says what to do. If the painting diverges, the last good image is
            written first, except that the start never replaces an older picture.
        TypeError: an option does not exist.
        KeyboardInterrupt: after the current picture is written.

    """
    config, followed = settings_of(content_image, style_image, recipe, options)
    return run(config, callback, followed=followed)


def run(
    config: Config,
    callback: Callback | None = None,
    progress: ProgressMaker | None = None,
    followed: Recipe | None = None,
    session: Session | None = None,
) -> Result:
    """Paint with the settings in `config`, and with its painter. See `painting.stylize.run` for the arguments."""
    return paintings.run(config, callback, progress, followed, session, painter=painter_of(config, session))


def estimate(
    content_image: str | Path | None = None,
    style_image: str | Path | None = None,
    *,
    recipe: str | Path | None = None,
    **options: Any,
) -> Estimate:
    """Estimate what `stylize` would take with the same arguments; paint and write nothing.

    This paints a few epochs of two small pictures, to time them. The estimate is that of a painting from its
    beginning, even if `stylize` would continue one.

    Raises:
        NStyleError: a picture, the network or a setting cannot be used, or the painting does not fit into memory. The
            output folder is not looked at, so `stylize` may still refuse what is there, or a recipe that is too long
            for the picture's file.
        TypeError: an option does not exist.

    """
    config, _ = settings_of(content_image, style_image, recipe, options)
    return estimate_run(config)


def estimate_run(
    config: Config, session: Session | None = None, in_memory: Mapping[str, Picture] | None = None
) -> Estimate:
    """Estimate what `run` would take. See `estimate` for errors, and `painting.prepare.prepare` for `in_memory`."""
    return estimates.estimate_run(config, session, in_memory, painter_of(config, session))


def painter_of(config: Config, session: Session | None = None) -> OnePass | None:
    """Return the painter that the settings name, on their device; None: they name none.

    The session decides whether its tiles reuse freed memory (`Session.around_tiles`).

    Raises:
        NStyleError: there is no such painter or device, or the file cannot be used.

    """
    if config.painter is None:
        return None
    device = choose_device(config.device, config.gpu)
    return load_painter(find_painter(config.painter), device, (session or Session()).around_tiles(device))
