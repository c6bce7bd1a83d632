"""The page of a run, a batch, or both: one self-contained HTML file.

The page shows names of files and folders, but no paths: people publish it. All text from files and records is
escaped, both in the HTML and in the JSON that the script reads; hidden characters in it become visible. Pictures are
embedded as new pixels, without what else their files hold. The page's content security policy allows only our script,
and nothing from the network.
"""

import dataclasses
import hashlib
import json
import math
import os
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from string import Template
from typing import Any

import nstyle
from nstyle.files import open_regular
from nstyle.pictures.formats import FORMATS
from nstyle.pictures.limits import LONGEST_EDGE, MOST_BYTES
from nstyle.settings.config import Config
from nstyle.settings.film import FilmSettings
from nstyle.settings.options import flag
from nstyle.settings.paths import name_of, with_names
from nstyle.settings.scales import MOST_COUNTED_UP, epochs_at_scales
from nstyle.storage.layout import StopReason
from nstyle.storage.reading import whole
from nstyle.view.album import Album
from nstyle.view.film_page import describe_film, describe_video, render_player
from nstyle.view.films import playing_rate
from nstyle.view.markup import curve_value, duration, escaped, json_text, link_to, part, picture_link, terms
from nstyle.view.run_files import MOST_EPOCHS, evenly
from nstyle.view.runs import Film, Input, Run, Snapshot
from nstyle.wording import counted

GENERATOR = b'<meta name="generator" content="nstyle-view">'
"""Marks a page as written by nstyle-view. Files without this mark are never overwritten."""

PICTURES_BUDGET = 4_400_000
"""Characters of embedded pictures in a page. The rest of the page fits below the limit of 5 MB."""

MOST_SNAPSHOTS = 400
"""Most snapshots in a page, so that each one keeps a share of the budget."""

MOST_POINTS = 1000
"""Most points of a curve; a chart is less than 1000 pixels wide."""

_MOST_SECONDS = 10**10

_SHEET_EDGE = 400

_SHOWN_BY_BROWSERS = {f".{ending}" for form in FORMATS if form.shown_by_browsers for ending in form.endings}

_ENDINGS: dict[str, str] = {
    StopReason.RELATIVE_CHANGE: "finished after {epochs}: the picture had almost stopped changing",
    StopReason.EPOCHS: "finished: all {epochs} done",
    StopReason.ONE_PASS: "painted in one pass",
    StopReason.INTERRUPTED: "interrupted after {epochs}",
    StopReason.DIVERGED: "diverged after {epochs}",
    StopReason.FAILED: "failed after {epochs}",
    StopReason.RUNNING: "killed after {epochs}",
}


def render(
    page: Path,
    run: Run | None,
    others: Iterable[Run],
    album: Album,
    *,
    other_pages: Callable[[Run], Path],
    films: Iterable[Path] = (),
    up: Path | None = None,
    refresh: float | None = None,
    watched: bool = False,
) -> bytes:
    """Return the HTML of the page.

    Args:
        page: path of the page; its links are relative to this path.
        run: the run to show with timeline, curves and settings.
        others: runs to show with their newest picture and a link.
        album: compresses the pictures.
        other_pages: returns the path of another run's page.
        films: films and sheets of the run, to link to.
        up: page of the batch that the run belongs to.
        refresh: seconds until the page reloads itself; None: never.
        watched: whether the page is rewritten when the run changes.

    """
    others = list(others)
    budget = PICTURES_BUDGET // 2 if run and others else PICTURES_BUDGET
    script = "".join(map(part, ("state.js", "charts.js", "film.js" if isinstance(run, Film) else "page.js")))
    facts: dict[str, Any] = {"refresh": refresh, "snapshots": [], "curves": {}, "size": None}
    run_html = ""
    if run is not None:
        run_facts, run_html = _render_run(page, run, album, budget, films)
        facts |= run_facts
    title = _title(run) if run is not None else counted(len(others), "painting")
    filled = Template(part("page.html")).substitute(
        policy=_policy(script),
        title=escaped(title),
        style=part("page.css"),
        up=f'<nav><a href="{escaped(link_to(up, page))}">all paintings</a></nav>' if up is not None else "",
        state=_state_html(run, others, refresh if watched else None),
        sheet=_render_sheet(page, others, album, budget, other_pages) if others else "",
        run=run_html,
        made=escaped(f"nstyle {nstyle.__version__}, {datetime.now().astimezone():%Y-%m-%d %H:%M:%S}"),
        facts=json_text(facts),
        script=script,
    )
    return filled.encode("utf-8", errors="replace")


def _policy(script: str) -> str:
    """Return the content security policy: our script and style, pictures embedded or in files, nothing else."""
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return f"default-src 'none'; img-src data: 'self' file:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def _title(run: Run) -> str:
    names = {source.label: source.path.stem for source in run.inputs}
    if isinstance(run, Film):
        names["content"] = Path(name_of(run.film.source)).stem
    if "content" in names and "style" in names:
        return f"{names['content']} in the style of {names['style']}"
    return run.name


def describe_state(run: Run) -> str:
    """Describe in one line the progress of the run, or how it ended."""
    if isinstance(run, Film):
        return describe_film(run)
    epochs = counted(run.epochs, "epoch")
    if not run.is_running:
        reason = str(run.record.get("stop_reason"))
        return _ENDINGS[reason].format(epochs=epochs) if reason in _ENDINGS else f"ended after {epochs}: {reason}"
    scale, scales = run.scale or (1, 1)
    most = _most_epochs(run.settings.get("max_num_epochs"), scales)
    if most is None or not run.epochs:
        return f"painting: {epochs} done"
    if scales > 1:  # finer scales have longer epochs, so the time left cannot be estimated
        return f"painting: scale {scale} of {scales}, epoch {run.epochs} of at most {most}"
    seconds = _seconds(run)
    left = f", at most {duration((most - run.epochs) * seconds / run.epochs)} left" if seconds is not None else ""
    return f"painting: epoch {run.epochs} of at most {most}{left}"


def _most_epochs(setting: Any, scales: int) -> int | None:
    """Return the maximum number of epochs over all scales, or None if `setting` is not valid."""
    listed = setting if isinstance(setting, list) else [setting]
    given = [number for number in listed if whole(number, 1, MOST_EPOCHS) is not None]
    if not given or len(given) < len(listed) or scales > 2 * MOST_COUNTED_UP:
        return None
    return sum(epochs_at_scales(given, scales))


def _seconds(run: Run) -> float | None:
    """Return the seconds that the run has taken so far, including the time before it was resumed; None if unknown."""
    seconds = [value for value in run.curves.get("seconds", []) if 0 <= value <= _MOST_SECONDS]
    return seconds[-1] if seconds else None


def _state_html(run: Run | None, others: list[Run], news_every: float | None) -> str:
    """Return the state line below the heading, with a note about updates if a run is going on."""
    running = any(each.is_running for each in [run, *others] if each is not None)
    if run is not None:
        state = describe_state(run)
    else:
        ended = sum(not other.is_running for other in others)
        state = f"{ended} of {len(others)} have ended" if running else "all have ended"
    note = ""
    if news_every is not None:
        note = f" This page updates every {news_every:g} s."
    elif running:
        note = " This page shows the state when it was made; <code>nstyle-view --watch</code> keeps it up to date."
    return f'<p class="state{" running" if running else ""}"><span>{escaped(state)}.</span>{note}</p>'


def _render_run(page: Path, run: Run, album: Album, budget: int, films: Iterable[Path]) -> tuple[dict[str, Any], str]:
    """Return the data about the run that the script needs, and the run's HTML."""
    chosen = evenly(run.snapshots, MOST_SNAPSHOTS)
    intact = {source: is_intact(source) for source in run.inputs}
    sources = [source.path for source in run.inputs if intact[source]]
    pictures = album.fit([*sources, *(snapshot.path for snapshot in chosen)], budget)
    if isinstance(run, Film):
        facts, shown = render_player(page, run)
        told = describe_video(run) | _run_facts(run)
    else:
        inputs = [source for source in run.inputs if source.path in pictures and intact[source]]
        facts, shown = _render_easel(page, run, [each for each in chosen if each.path in pictures], pictures, inputs)
        left_out = len(run.snapshots) - len(facts["snapshots"])
        told = _run_facts(run) | ({"not shown": f"{left_out} more snapshots"} if left_out else {})
    run_html = Template(part("run.html")).substitute(
        kind="film" if isinstance(run, Film) else "painting",
        shown=shown,
        inputs="\n".join(
            _input_html(index, source, pictures.get(source.path) if intact[source] else None, page)
            for index, source in enumerate(run.inputs)
        ),
        films=_films_html(films, page),
        facts=terms(told),
        settings="\n".join(_setting_html(name, value) for name, value in with_names(run.settings).items()),
    )
    return facts, run_html


def _render_easel(
    page: Path, run: Run, snapshots: list[Snapshot], pictures: Mapping[Path, str], inputs: list[Input]
) -> tuple[dict[str, Any], str]:
    """Return the data that the script `page.js` needs, and the HTML of the timeline and the comparison."""
    stop_eps = run.settings.get("stop_eps")
    facts = {
        "snapshots": [_snapshot_facts(snapshot, pictures[snapshot.path], page) for snapshot in snapshots],
        "rate": playing_rate(len(snapshots)),
        "curves": _curve_facts(run.curves),
        "stop_eps": stop_eps if isinstance(stop_eps, float) and math.isfinite(stop_eps) else None,
    }
    choices = "\n".join(
        f'<label><input type="radio" name="original" value="{run.inputs.index(source)}">'
        f"<span>{escaped(source.label)}</span></label>"
        for source in inputs
    )
    return facts, Template(part("easel.html")).substitute(nothing=escaped(_nothing(run)), choices=choices)


def is_intact(source: Input) -> bool:
    """Tell whether an input picture still exists and still has the SHA-256 in the record.

    So a record shows only files whose content its writer knew. Other than regular files are never opened.
    """
    if _is_elsewhere(source.path):
        return False
    try:
        status = source.path.stat()
        if status.st_size == 0:  # empty, or made up by the system while it is read: no picture
            return False
        return _sha256(source.path, status.st_mtime_ns, status.st_size) == source.sha256
    except (OSError, ValueError):
        return False


@lru_cache(maxsize=1000)
def _sha256(path: Path, _modified: int, _size: int) -> str:
    """Return the SHA-256 of a file, computed once as long as its time and size stay the same."""
    with open_regular(path, MOST_BYTES) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_elsewhere(path: Path) -> bool:
    """Tell whether a path names another computer, which would learn from a look that somebody looked."""
    return str(path).startswith(("//", "\\\\"))


def _snapshot_facts(snapshot: Snapshot, picture: str, page: Path) -> dict[str, Any]:
    return {
        "epoch": snapshot.epoch,
        "name": snapshot.path.name,
        "final": snapshot.is_final,
        "stage": snapshot.is_of_stage,
        "href": picture_link(snapshot.path, page),
        "shown": snapshot.path.suffix.lower() in _SHOWN_BY_BROWSERS,
        "picture": picture,
    }


def _curve_facts(curves: Mapping[str, list[float]]) -> dict[str, list[float | None]]:
    """Return the curves with at most `MOST_POINTS` points and five digits; without "scale" if it is constant."""
    rows = evenly(range(len(curves.get("epoch", []))), MOST_POINTS)
    facts: dict[str, list[float | None]] = {
        name: [curve_value(column[row]) for row in rows]
        for name, column in curves.items()
        if name != "scale" or len(set(column)) > 1
    }
    return facts | {"epoch": [curves["epoch"][row] for row in rows]} if "epoch" in curves else facts


def _nothing(run: Run) -> str:
    if not run.is_running:
        return "No picture is left of this run."
    every = whole(run.settings.get("save_epochs"), 1, MOST_EPOCHS)
    return f"No snapshot yet: the first comes after epoch {every}." if every is not None else "No snapshot yet."


def _input_html(index: int, source: Input, picture: str | None, page: Path) -> str:
    label, name = escaped(source.label), escaped(source.path.name)
    if picture is None:
        is_there = not _is_elsewhere(source.path) and os.path.exists(source.path)
        why = "changed since the run, or not a picture" if is_there else "file is missing"
        return f'<figure><p class="gone">{why}</p><figcaption>{label}: {name}</figcaption></figure>'
    shown = f'<img id="input-{index}" src="{picture}" alt="{label}">'
    link = picture_link(source.path, page)
    if link is not None:
        shown = f'<a href="{escaped(link)}">{shown}</a>'
    return f"<figure>{shown}<figcaption>{label}: {name}</figcaption></figure>"


def _films_html(films: Iterable[Path], page: Path) -> str:
    links = [f'<a href="{escaped(link_to(film, page))}">{escaped(film.name)}</a>' for film in films]
    return f'<p class="films">Films and sheets: {", ".join(links)}</p>' if links else ""


def _run_facts(run: Run) -> dict[str, str]:
    """Return the main facts about how the picture was made, as label and text."""
    record = run.record
    facts = {}
    size, seconds = record.get("size"), _seconds(run)
    if isinstance(size, list) and len(size) == 2 and all(whole(edge, 1, LONGEST_EDGE) for edge in size):
        facts["size"] = f"{size[0]} × {size[1]} pixels"  # noqa: RUF001  (a multiplication sign is meant)
    if run.scale is not None and run.scale[1] > 1:
        facts["scales"] = f"{run.scale[1]}, coarse to fine"
    if not run.is_running and seconds is not None and run.epochs:
        facts["time"] = f"{duration(seconds)}, {duration(seconds / run.epochs)} an epoch"
    facts["device"] = ", ".join(
        str(record[key]) for key in ("device", "device_name", "precision") if record.get(key) is not None
    )
    weights = record.get("weights")
    if isinstance(weights, dict):
        facts["weights"] = Path(str(weights.get("path"))).name
    facts["started"] = str(record.get("started", "")).replace("T", " ")
    versions = record.get("versions")
    if isinstance(versions, dict):
        facts["versions"] = ", ".join(f"{name} {number}" for name, number in versions.items())
    facts["folder"] = run.name
    return {term: text for term, text in facts.items() if text}


_DEFAULTS = with_names(json.loads(json.dumps(dataclasses.asdict(Config()), default=str))) | {
    field.name: field.default for field in dataclasses.fields(FilmSettings)
}
"""Default of each setting, to compare with a record."""


def _setting_html(name: str, value: Any) -> str:
    changed = name in _DEFAULTS and json.dumps(value) != json.dumps(_DEFAULTS[name])
    shown = "–" if value in (None, []) else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)  # noqa: RUF001
    row = '<tr class="changed">' if changed else "<tr>"
    return f'{row}<th scope="row">{escaped(flag(name))}</th><td>{escaped(shown)}</td></tr>'


def _render_sheet(
    page: Path, others: list[Run], album: Album, budget: int, other_pages: Callable[[Run], Path]
) -> str:
    """Return the contact sheet: the newest picture of each run, or a film's first frame, as a link to its page."""
    newest = {other: other.newest for other in others if other.newest is not None}
    pictures = album.fit(newest.values(), budget, largest=_SHEET_EDGE)
    tiles = []
    for other in others:
        address = pictures.get(newest[other]) if other in newest else None
        picture = f'<img src="{address}" alt="">' if address else '<span class="gone">no picture yet</span>'
        link, name = escaped(link_to(other_pages(other), page)), escaped(other.name)
        badge = '<span class="badge right">film</span>' if isinstance(other, Film) else ""
        kind = "running" if other.is_running else "ended"
        tiles.append(
            f'<li><a href="{link}">{picture}{badge}<strong>{name}</strong></a>'
            f'<span class="{kind}">{escaped(describe_state(other))}</span></li>'
        )
    return f'<ul class="sheet" aria-label="Contact sheet">{"".join(tiles)}</ul>'
