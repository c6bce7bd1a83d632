"""Paint a film: its shots, frame by frame, then the film's file with the sound of the source."""

import logging
import secrets
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

from nstyle.devices import choose_device, choose_precision
from nstyle.errors import ImageError, Kind, OptionError, OutputError
from nstyle.film.continuing import differences, painter_way_of, ways_of
from nstyle.film.folder import EarlierFilm, FilmFolder, FrameRow, followed_settings, read_earlier_film, source_digest
from nstyle.film.inverse_search import InverseSearch
from nstyle.film.plan import FilmPlan, plan_film
from nstyle.film.shot_run import FrameObserver, ShotPlan, check_flow, paint_shot
from nstyle.film.sound import check_sound
from nstyle.film.source import cut, sound_of
from nstyle.film.writing import FILM_CODECS, write_film
from nstyle.painter.one_pass import way_facts
from nstyle.painter.run import painter_of
from nstyle.painting.prepare import Prepared
from nstyle.painting.session import Session
from nstyle.painting.stylize import prepared_for, set_up, tuned
from nstyle.pictures.decode import read_picture
from nstyle.pictures.picture import Picture
from nstyle.settings.film import FILM_SETTINGS, FilmSettings
from nstyle.storage.layout import FINISHED, StopReason
from nstyle.storage.recipe import Recipe
from nstyle.storage.record import log_changes, log_run, make_recipe
from nstyle.storage.sources import settings_of
from nstyle.wording import counted

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FilmResult:
    """A finished film.

    Attributes:
        path: the film; None: PyAV is not installed, so there are only the frames.
        frames: the painted frames, in order.
        painted: the number of frames that were painted now, and not by an earlier run.
        record: the record, `film.json`.

    """

    path: Path | None
    frames: tuple[Path, ...]
    painted: int
    record: Path


@dataclass(frozen=True)
class FilmProgress:
    """Functions that are called as a film is painted; each does nothing by default.

    Attributes:
        looked: called for each frame in which cuts are searched, with the number of all these frames.
        begun: called before the first frame is painted, with the number of frames in all passes, and of those that
            are done.
        painted: called after each frame.
        observer: makes an observer for the painting of a frame; None: none.

    """

    looked: Callable[[int], object] = lambda frames: None
    begun: Callable[[int, int], object] = lambda frames, done: None
    painted: Callable[[FrameRow], object] = lambda row: None
    observer: FrameObserver | None = None


ShotPainter: TypeAlias = Callable[[Sequence[ShotPlan]], Generator[FrameRow, None, None]]
"""Function that paints shots and yields each frame, such as `batch.film_cluster.paint_shots_on_cluster`."""


def stylize_film(
    film: str | Path | None = None,
    style_image: str | Path | None = None,
    *,
    progress: FilmProgress | None = None,
    recipe: str | Path | None = None,
    **options: Any,
) -> FilmResult:
    """Paint a film, as `nstyle --film` does.

    Args:
        film: a video file, a folder of frames, or a pattern of their names; None: that of the recipe.
        style_image: the style picture; None: that of the recipe, or a sample.
        progress: what is called as the film is painted.
        recipe: the record of a film, or a picture or its record, that supplies the settings; see `stylize`.
        options: the command's flags with underscores (`from_` for `--from`); see `Config` and `FilmSettings`.

    Returns:
        The film and its frames. If a film with the same settings is in the output folder, it goes on.

    Raises:
        NStyleError: a file or a setting cannot be used.
        TypeError: an option does not exist.
        KeyboardInterrupt: after the last whole frame.

    """
    own = {name: options.pop(name) for name in FILM_SETTINGS if name in options}
    own = own if film is None else own | {"film": film}
    settings = FilmSettings(**followed_settings(own, None if recipe is None else Path(recipe)))
    config, followed = settings_of(settings.film, style_image, recipe, {**options, "image_format": "png"})
    plan = plan_film(config, settings, None if "film" in own or followed is None else source_digest(followed))
    return run_film(plan, progress=progress, followed=followed)


def run_film(
    plan: FilmPlan,
    *,
    progress: FilmProgress | None = None,
    followed: Recipe | None = None,
    session: Session | None = None,
    painter: ShotPainter | None = None,
) -> FilmResult:
    """Paint a film; go on with it if it was begun. See `stylize_film`.

    Args:
        plan: the film.
        progress: what is called as the film is painted; None: nothing.
        followed: the recipe that supplied the settings. The log warns of differences to this film.
        session: the cache; None: a new one.
        painter: paints the shots; None: this process, one after the other.

    """
    progress = progress or FilmProgress()
    codec = FILM_CODECS[plan.settings.film_codec]
    if (sound := sound_of(plan.source, plan.numbers)) is not None:
        check_sound(sound, codec.container)
    folder = FilmFolder(plan.config.output_dir, plan.name + codec.ending, plan.inputs())
    session = session or Session()
    session.keeps_decoded = True
    with folder.owned():
        return _FilmRun(plan, folder, progress, session).run(followed, painter)


def _saved(shots: Sequence[ShotPlan]) -> list[FrameRow]:
    """Return what is known of the frames of all shots from which the film can go on."""
    return [row for shot in shots for row in shot.rows()]


class _FilmRun:
    """A film that is being painted, in a folder that this run owns."""

    def __init__(self, plan: FilmPlan, folder: FilmFolder, progress: FilmProgress, session: Session) -> None:
        self.plan, self.folder, self.progress, self.session = plan, folder, progress, session
        self.config, self.settings = plan.config, plan.settings
        self.device = choose_device(self.config.device, self.config.gpu)
        self.precision = choose_precision(self.config.precision, self.device)

    def run(self, followed: Recipe | None, painter: ShotPainter | None) -> FilmResult:
        """Paint what is left, and write the film."""
        if self.settings.flow is None and self.plan.frames > 1 and not self.config.in_one_pass:
            InverseSearch()  # if OpenCV is missing, say so before anything is painted
        with set_up(self.config, self.device, self.precision):
            prepared = self._prepared()
            recipe = self._recipe(prepared)
            if followed is not None:
                log_changes(followed, recipe)
            replaced = read_earlier_film(self.folder.path)
            self.folder.check(replaced, self.plan.frames)
            earlier = self._continued(replaced, recipe)
            shots = self._shots(earlier)
            check_flow(self.plan, shots)
            identity = secrets.token_hex(8) if earlier is None else earlier.identity
            ways = ways_of(earlier, recipe) or tuple(scale.way for scale in prepared.scales)
            way = painter_way_of(earlier, recipe, prepared.chosen)
            width, height = prepared.scales[-1].size
            plans = [
                ShotPlan(
                    self.plan, self.folder, identity, number, frames, ways, prepared.memory, (height, width), way
                )
                for number, frames in enumerate(shots, start=1)
            ]
            done = _saved(plans)
            facts = self._facts(recipe, plans, earlier, replaced)
            self.folder.begin()
            self.folder.write_record(recipe, facts, StopReason.RUNNING)
            self.folder.write_log(done)
            log_run(recipe, self.device)
            self._warn_of_alpha(prepared)
            total = self.plan.frames * self.settings.passes
            self.progress.begun(total, len(done))
            reason, painted = StopReason.FAILED, list[int]()
            try:
                with (
                    tuned(self.config, self.session, self.device, prepared.memory),
                    closing((painter or self._paint)(plans)) as rows,  # if this stops, they save their state
                ):
                    for row in rows:
                        self.folder.add_to_log(row)
                        self.progress.painted(row)
                        painted.append(row.frame)
                self.folder.write_log(_saved(plans))  # of workers that died, too
                film = self._film(earlier, recipe.size, is_new=bool(painted))
                self.folder.clear_passes()
                self._remove_replaced(facts)
                reason = StopReason.EPOCHS
            except KeyboardInterrupt as interrupt:
                reason = StopReason.INTERRUPTED
                self.folder.write_record(recipe, facts, reason)  # a worker of a cluster stops when it reads that
                saved = _saved(plans)  # the signal may have come before the log's line
                self.folder.write_log(saved)
                interrupt.add_note(self._left(len(saved), total))
                raise
            finally:
                self.folder.write_record(recipe, facts, reason)
        frames = tuple(self.folder.frame(number) for number in range(1, self.plan.frames + 1))
        return FilmResult(film, frames, len(set(painted)), self.folder.record)

    def _warn_of_alpha(self, prepared: Prepared) -> None:
        """Warn if the frames have alpha, and the film's file cannot hold it."""
        if prepared.has_alpha and (self.config.bit_depth, True) not in FILM_CODECS[self.settings.film_codec].pixels:
            _log.warning(
                "%s has no transparency: transparent parts of the film become white; --film-codec prores keeps them "
                "transparent, and the frames do, too",
                self.folder.film.name,
            )

    def _left(self, painted: int, total: int) -> str:
        """Say how far the film is, and what goes on with it."""
        again = "the same command without --overwrite" if self.config.overwrite else "the same command"
        return f"{painted} of {counted(total, 'frame')} are painted; {again} continues"

    def _paint(self, plans: Sequence[ShotPlan]) -> Generator[FrameRow, None, None]:
        """Paint the shots one after the other."""
        for one in plans:
            yield from paint_shot(one, self.session, self.progress.observer)

    def _prepared(self) -> Prepared:
        """Prepare the first frame: if it cannot be painted, no file has been changed yet."""
        first = next(iter(self.plan.source.frames(self.plan.numbers[:1])))
        return prepared_for(
            self.config,
            self.device,
            self.precision.dtype,
            self.session,
            painter_of(self.config, self.session),
            {"content_image": first},
            besides=self.plan.memory(self.device),
        )

    def _recipe(self, prepared: Prepared) -> Recipe:
        """Return the recipe of the frames. Its content picture is the source."""
        source = {"path": str(self.plan.source.path.absolute()), "sha256": self.plan.digest()}
        inputs = {**prepared.inputs, "content_image": source}
        return make_recipe(self.config, inputs, prepared.weights, prepared.size, self.device, self.precision)

    def _continued(self, earlier: EarlierFilm | None, recipe: Recipe) -> EarlierFilm | None:
        """Return the film in the folder if this one goes on with it; None if it begins.

        Raises:
            OutputError: it is another film, and nobody said `overwrite`.

        """
        if earlier is None or self.config.overwrite:
            return None
        reason = "a film that this nstyle cannot go on with"
        if earlier.recipe is not None:
            found = differences(earlier, self.plan, recipe)
            reason = "a film with different settings: " + ", ".join(found[:3]) if found else ""
        if reason:
            raise OutputError(
                f"{self.folder.path} contains {reason}; choose another --output-dir, or add --overwrite",
                flag="--output-dir",
                path=self.folder.path,
                kind=Kind.IN_THE_WAY,
            )
        return earlier

    def _shots(self, earlier: EarlierFilm | None) -> tuple[range, ...]:
        """Return the shots: those that the earlier film found, if it had as many frames."""
        if earlier is not None and earlier.shots and earlier.shots[-1].stop == self.plan.frames + 1:
            return earlier.shots
        numbers = self.plan.numbers
        return self.plan.shots(lambda number: self.progress.looked(numbers.stop - numbers.start))

    def _remove_replaced(self, facts: dict[str, Any]) -> None:
        """Delete what the film that this one replaces has left, and take it out of the facts."""
        if facts["replaces"] is None:
            return
        frames = range(self.plan.frames + 1, facts["extent"] + 1)
        shots = range(len(facts["shots"]) + 1, facts["extent"] + 1)
        self.folder.remove(set(facts["replaces"]) - set(facts["files"]), frames, shots)
        facts |= {"replaces": None, "extent": self.plan.frames}

    def _facts(
        self,
        recipe: Recipe,
        plans: Sequence[ShotPlan],
        earlier: EarlierFilm | None,
        replaced: EarlierFilm | None,
    ) -> dict[str, Any]:
        """Return the facts about the film that its record contains.

        Args:
            recipe: the recipe of the frames.
            plans: its shots.
            earlier: the film in the folder if this one goes on with it.
            replaced: the film in the folder.

        """
        files = {self.folder.film.name, *(() if earlier is None else earlier.files)}
        replaces = None if earlier is None else earlier.replaces
        if earlier is None and replaced is not None:
            replaces = (*replaced.files, *(replaced.replaces or ()))
        return {
            "source": str(self.plan.source.path),
            "size": [recipe.size[1], recipe.size[0]],
            "file": self.folder.film.name,
            "files": sorted(files),
            "replaces": None if replaces is None else sorted(replaces),
            "extent": max(self.plan.frames, 0 if replaced is None else replaced.extent),
            "identity": plans[0].identity,
            "frames": self.plan.frames,
            "frame_rate": float(cut(self.plan.source, self.plan.numbers).rate),
            "shots": [[one.frames.start, one.frames.stop - 1] for one in plans],
            "ways": [asdict(way) for way in plans[0].ways],
            "painter_way": None if plans[0].painter_way is None else way_facts(plans[0].painter_way),
            "settings": self.settings.recorded(),
        }

    def _film(self, earlier: EarlierFilm | None, size: tuple[int, int], *, is_new: bool) -> Path | None:
        """Write the film, unless an earlier run has written it from the same frames."""
        is_whole = earlier is not None and earlier.stop_reason in FINISHED
        written = (earlier.file, earlier.frames) if earlier is not None and is_whole else None
        if not is_new and written == (self.folder.film.name, self.plan.frames) and self.folder.film.is_file():
            return self.folder.film
        return self._write_film(size)

    def _frames(self, size: tuple[int, int]) -> Iterator[Picture]:
        """Read the painted frames, which have this width and height.

        Raises:
            OutputError: a frame is damaged, or has another size.

        """
        width, height = size
        for number in range(1, self.plan.frames + 1):
            path = self.folder.frame(number)
            try:
                frame = read_picture(path)
            except ImageError as error:
                raise _changed(path, "is missing or damaged") from error
            if frame.size != (height, width):
                raise _changed(path, f"has {frame.size[1]}x{frame.size[0]} pixels, and the film {width}x{height}")
            yield frame

    def _write_film(self, size: tuple[int, int]) -> Path | None:
        """Write the film from its frames; return its path, or None if PyAV is not installed."""
        plan = self.plan
        try:
            write_film(
                self.folder.film,
                self._frames(size),
                cut(plan.source, plan.numbers),
                FILM_CODECS[self.settings.film_codec],
                bit_depth=self.config.bit_depth,
                geometry=plan.source.geometry,
                sound=sound_of(plan.source, plan.numbers),
            )
        except OptionError as error:  # a video as a source has needed it already
            _log.warning("%s has all frames, but there is no film: %s", self.folder.frame(1).parent, error)
            return None
        return self.folder.film


def _changed(path: Path, what: str) -> OutputError:
    """Return the error of a painted frame that somebody has changed."""
    return OutputError(
        f"{path} {what}; put it right, or delete it and repeat the command, which paints its shot again",
        path=path,
        kind=Kind.DAMAGED,
    )
