"""Whether a film goes on with the one in its folder: what is compared, and what is taken over."""

from typing import Any

from nstyle.errors import OptionError
from nstyle.film.folder import EarlierFilm
from nstyle.film.plan import FilmPlan
from nstyle.film.span import rate_of
from nstyle.film.video import Video
from nstyle.painter.one_pass import Way as PainterWay
from nstyle.painter.one_pass import way_facts
from nstyle.painting.painters import Pass
from nstyle.painting.ways import Way
from nstyle.settings.film import FilmSettings
from nstyle.settings.options import flag
from nstyle.storage.recipe import Recipe


def differences(earlier: EarlierFilm, plan: FilmPlan, recipe: Recipe) -> list[str]:
    """List what makes this film different from the earlier one, as flags with both values.

    The source is compared by its content. A later end adds frames, an earlier one leaves some out of the film's file,
    and another codec writes the same frames: these are no differences.

    Args:
        earlier: the film in the folder; it has a recipe.
        plan: this film.
        recipe: the recipe of its frames.

    """
    found = [] if earlier.recipe is None else earlier.recipe.differences(recipe)
    try:
        before = _compared(FilmSettings(**earlier.settings), plan)
    except (OptionError, TypeError):
        return ["settings that this nstyle does not know"]
    now = _compared(plan.settings, plan)
    return found + [f"{before[name]} (now {now[name]})" for name in now if before[name] != now[name]]


def _compared(settings: FilmSettings, plan: FilmPlan) -> dict[str, str]:
    """Return the settings of a film that shape its frames, as a user would give them."""
    values: dict[str, Any] = {
        "from_": settings.from_ or "1f",
        "every": settings.every,
        "frame_epochs": settings.frame_epochs,
        "temporal_weight": f"{settings.weight(plan.config.balance):g}",
        "temporal_distances": ",".join(map(str, settings.distances)),
        "passes": settings.passes,
    }
    if not isinstance(plan.source, Video):
        values["frame_rate"] = rate_of(settings.frame_rate)
    shown = {name: f"{flag(name)} {value}" for name, value in values.items()}
    shown["flow"] = "estimated motion" if settings.flow is None else f"--flow {settings.flow}"
    return shown | {"cuts": "--cuts" if settings.cuts else "--no-cuts"}


def ways_of(earlier: EarlierFilm | None, recipe: Recipe) -> tuple[Way, ...] | None:
    """Return how the frames of the earlier film were painted in little memory; None: choose.

    With another `--max-memory`, it is chosen anew, and the frames that are left differ by rounding.
    """
    return earlier.ways or None if earlier is not None and _has_its_memory(earlier, recipe) else None


def painter_way_of(earlier: EarlierFilm | None, recipe: Recipe, chosen: Pass | None) -> PainterWay | None:
    """Return the way in which a painter paints the frames: that of the earlier film, see `ways_of`, or as chosen now.

    None: there is no painter.
    """
    if chosen is None:
        return None
    way: PainterWay = chosen.way
    if earlier is None or not _has_its_memory(earlier, recipe):
        return way
    return next((one for one in chosen.painter.ways if way_facts(one) == earlier.painter_way), way)


def _has_its_memory(earlier: EarlierFilm, recipe: Recipe) -> bool:
    """Tell whether the earlier film had the same `max_memory`."""
    if earlier.recipe is None:
        return False
    return bool(earlier.recipe.settings["max_memory"] == recipe.settings["max_memory"])
