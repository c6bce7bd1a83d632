"""The page of a run, of a batch, or of both: one HTML file with everything in it.

Whatever comes from files and records is text here: escaped in HTML, and escaped in the JSON that the script reads.
The page's own policy allows no script but ours and nothing from a network.
"""

import dataclasses
import hashlib
import html
import json
import math
import os
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote

import nstyle
from nstyle.files import sha256
from nstyle.pictures.formats import FORMATS
from nstyle.settings.config import Config
from nstyle.settings.options import flag
from nstyle.settings.scales import MOST_COUNTED_UP, epochs_at_scales
from nstyle.storage.layout import StopReason
from nstyle.view.album import Album
from nstyle.view.films import playing_rate
from nstyle.view.runs import Input, Run, Snapshot, evenly

GENERATOR = b'<meta name="generator" content="nstyle-view">'
"""By this a page of ours is known."""

PICTURES_BUDGET = 4_400_000
"""Characters of pictures in a page, so that it stays below 5 MB with all the rest."""

MOST_SNAPSHOTS = 400
MOST_POINTS = 1000
_SHEET_EDGE = 400

_SHOWN_BY_BROWSERS = {f".{ending}" for form in FORMATS if form.shown_by_browsers for ending in form.endings}

_ENDINGS: dict[str, str] = {
    StopReason.RELATIVE_CHANGE: "finished after {epochs}: the picture hardly changed any more",
    StopReason.EPOCHS: "finished: all {epochs} are done",
    StopReason.INTERRUPTED: "interrupted after {epochs}",
    StopReason.DIVERGED: "diverged after {epochs}",
    StopReason.FAILED: "failed after {epochs}",
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
    """Make the page.

    Args:
        page: where it will be; what it links to is named from there.
        run: the run that it shows: timeline, curves, settings.
        others: runs of which it shows the newest picture, with a link.
        album: makes the pictures small.
        other_pages: where the page of another run is.
        films: other files that were made of the run.
        up: the page of the batch that the run belongs to.
        refresh: seconds after which the page reloads itself.
        watched: the page is made anew whenever there is news.

    """
    others = list(others)
    budget = PICTURES_BUDGET // 2 if run and others else PICTURES_BUDGET
    script = _part("page.js")
    facts: dict[str, Any] = {"refresh": refresh, "snapshots": [], "curves": {}, "size": None}
    run_html = ""
    if run is not None:
        run_facts, run_html = _render_run(page, run, album, budget, films)
        facts |= run_facts
    title = _title(run) if run is not None else f"{len(others)} paintings"
    filled = Template(_part("page.html")).substitute(
        policy=_policy(script),
        title=html.escape(title),
        style=_part("page.css"),
        up=f'<nav><a href="{html.escape(_link(up, page))}">all paintings</a></nav>' if up is not None else "",
        state=_state_html(run, others, refresh if watched else None),
        sheet=_render_sheet(page, others, album, budget, other_pages) if others else "",
        run=run_html,
        made=html.escape(f"nstyle {nstyle.__version__}, {datetime.now().astimezone():%Y-%m-%d %H:%M:%S}"),
        facts=_json(facts),
        script=script,
    )
    return filled.encode("utf-8", errors="replace")


def _part(name: str) -> str:
    """Return a file of the package's."""
    return resources.files("nstyle.view").joinpath(name).read_text(encoding="utf-8")


def _policy(script: str) -> str:
    """Return the page's policy: our script and style, pictures of its own or beside it, nothing else."""
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return f"default-src 'none'; img-src data: 'self' file:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def _json(facts: dict[str, Any]) -> str:
    """Return JSON that can stand in a script element: no text in it can end that."""
    return json.dumps(facts, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _link(target: Path, page: Path) -> str:
    """Return the address of a file as seen from the page."""
    try:
        relative = os.path.relpath(target.resolve(), page.parent.resolve())
    except ValueError:  # another drive
        return target.resolve().as_uri()
    return quote(os.fsencode(Path(relative).as_posix()))


def _title(run: Run) -> str:
    names = {source.label: source.path.stem for source in run.inputs}
    if "content" in names and "style" in names:
        return f"{names['content']} in the style of {names['style']}"
    return run.name


def describe_state(run: Run) -> str:
    """Say in a line how far the run is, or how it ended."""
    epochs = f"{run.epochs} epoch{'' if run.epochs == 1 else 's'}"
    if not run.is_running:
        reason = str(run.record.get("stop_reason"))
        return _ENDINGS[reason].format(epochs=epochs) if reason in _ENDINGS else f"ended after {epochs}: {reason}"
    scale, scales = run.scale or (1, 1)
    most = _most_epochs(run.settings.get("max_num_epochs"), scales)
    if most is None or not run.epochs:
        return f"painting: {epochs} done"
    if scales > 1:  # the finer a scale, the longer an epoch: what is left cannot be told
        return f"painting: scale {scale} of {scales}, epoch {run.epochs} of at most {most}"
    seconds = _seconds(run)
    left = f", at most {_duration((most - run.epochs) * seconds / run.epochs)} left" if seconds is not None else ""
    return f"painting: epoch {run.epochs} of at most {most}{left}"


def _most_epochs(setting: Any, scales: int) -> int | None:
    """Return how many epochs a run takes at most in all scales; None if its record's setting makes no sense."""
    given = setting if isinstance(setting, list) else [setting]
    if not given or not all(isinstance(number, int) for number in given) or scales > 2 * MOST_COUNTED_UP:
        return None
    return sum(epochs_at_scales(given, scales))


def _seconds(run: Run) -> float | None:
    """Return how long the run has taken so far, with what it had taken before it was resumed."""
    seconds = [value for value in run.curves.get("seconds", []) if math.isfinite(value)]
    return seconds[-1] if seconds else None


def _state_html(run: Run | None, others: list[Run], news_every: float | None) -> str:
    """Return the lines below the heading."""
    running = any(each.is_running for each in [run, *others] if each is not None)
    if run is not None:
        state = describe_state(run)
    else:
        ended = sum(not other.is_running for other in others)
        state = f"{ended} of {len(others)} have ended" if running else "all have ended"
    note = ""
    if news_every is not None:
        note = f" This page looks for news every {news_every:g} s."
    elif running:
        note = " That was when this page was made; <code>nstyle-view --watch</code> keeps it fresh."
    return f'<p class="state{" running" if running else ""}"><span>{html.escape(state)}.</span>{note}</p>'


def _duration(seconds: float) -> str:
    """Return a time span in the two units that matter: "2 min 3 s"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{seconds:.1f} s" if whole < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _render_run(page: Path, run: Run, album: Album, budget: int, films: Iterable[Path]) -> tuple[dict[str, Any], str]:
    """Return what the script needs to know of the run, and the run's part of the page."""
    chosen = evenly(run.snapshots, MOST_SNAPSHOTS)
    intact = {source: is_intact(source) for source in run.inputs}
    sources = [source.path for source in run.inputs if intact[source]]
    pictures = album.fit([*sources, *(snapshot.path for snapshot in chosen)], budget)
    snapshots = [
        _snapshot_facts(snapshot, pictures[snapshot.path], page) for snapshot in chosen if snapshot.path in pictures
    ]
    settings = run.settings
    stop_eps = settings.get("stop_eps")
    facts = {
        "snapshots": snapshots,
        "rate": playing_rate(len(snapshots)),
        "curves": _curve_facts(run.curves),
        "stop_eps": stop_eps if isinstance(stop_eps, float) and math.isfinite(stop_eps) else None,
    }
    left_out = len(run.snapshots) - len(snapshots)
    shown = [source for source in run.inputs if source.path in pictures and intact[source]]
    run_html = Template(_part("run.html")).substitute(
        nothing=html.escape(_nothing(run)),
        choices="\n".join(
            f'<label><input type="radio" name="original" value="{run.inputs.index(source)}">'
            f"<span>{html.escape(source.label)}</span></label>"
            for source in shown
        ),
        inputs="\n".join(
            _input_html(index, source, pictures.get(source.path) if intact[source] else None, page)
            for index, source in enumerate(run.inputs)
        ),
        films=_films_html(films, page),
        facts=_terms(_run_facts(run) | ({"not shown": f"{left_out} more snapshots"} if left_out else {})),
        settings="\n".join(_setting_html(name, value) for name, value in settings.items()),
    )
    return facts, run_html


def is_intact(source: Input) -> bool:
    """Whether the picture that a run was made from is still there, and the same."""
    try:
        return sha256(source.path) == source.sha256
    except OSError:
        return False


def _snapshot_facts(snapshot: Snapshot, picture: str, page: Path) -> dict[str, Any]:
    return {
        "epoch": snapshot.epoch,
        "name": snapshot.path.name,
        "final": snapshot.is_final,
        "href": _link(snapshot.path, page),
        "shown": snapshot.path.suffix.lower() in _SHOWN_BY_BROWSERS,
        "picture": picture,
    }


def _curve_facts(curves: Mapping[str, list[float]]) -> dict[str, list[float | None]]:
    """Return the curves with few enough points and digits; of a single scale there is nothing to draw."""
    rows = evenly(range(len(curves.get("epoch", []))), MOST_POINTS)
    return {
        name: [float(f"{column[row]:.5g}") if math.isfinite(column[row]) else None for row in rows]
        for name, column in curves.items()
        if name != "scale" or len(set(column)) > 1
    }


def _nothing(run: Run) -> str:
    if not run.is_running:
        return "No picture is left of this run."
    every = run.settings.get("save_epochs")
    return f"No snapshot yet: the first comes after epoch {every}." if isinstance(every, int) else "No snapshot yet."


def _input_html(index: int, source: Input, picture: str | None, page: Path) -> str:
    label, name = html.escape(source.label), html.escape(source.path.name)
    if picture is None:
        why = "changed since, or no picture" if source.path.exists() else "not there any more"
        return f'<figure><p class="gone">{why}</p><figcaption>{label}: {name}</figcaption></figure>'
    return (
        f'<figure><a href="{html.escape(_link(source.path, page))}">'
        f'<img id="input-{index}" src="{picture}" alt="{label}"></a>'
        f"<figcaption>{label}: {name}</figcaption></figure>"
    )


def _films_html(films: Iterable[Path], page: Path) -> str:
    links = [f'<a href="{html.escape(_link(film, page))}">{html.escape(film.name)}</a>' for film in films]
    return f'<p class="films">Also made of it: {", ".join(links)}</p>' if links else ""


def _run_facts(run: Run) -> dict[str, str]:
    """Return what a reader wants to know first of how it was made."""
    record = run.record
    facts = {}
    size, seconds = record.get("size"), _seconds(run)
    if isinstance(size, list) and len(size) == 2:
        facts["size"] = f"{size[0]} × {size[1]} pixels"  # noqa: RUF001  (the sign that is meant)
    if run.scale is not None and run.scale[1] > 1:
        facts["scales"] = f"{run.scale[1]}, coarse to fine"
    if not run.is_running and seconds is not None and run.epochs:
        facts["time"] = f"{_duration(seconds)}, {_duration(seconds / run.epochs)} an epoch"
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
    facts["folder"] = str(run.folder.resolve())
    return {term: text for term, text in facts.items() if text}


def _terms(facts: dict[str, str]) -> str:
    """Return the facts as terms and descriptions."""
    pairs = [(html.escape(term), html.escape(text)) for term, text in facts.items()]
    return "\n".join(f"<div><dt>{term}</dt><dd>{text}</dd></div>" for term, text in pairs)


_DEFAULTS = {name: json.dumps(value, default=str) for name, value in dataclasses.asdict(Config()).items()}
"""As a record has them: in JSON."""


def _setting_html(name: str, value: Any) -> str:
    changed = name in _DEFAULTS and json.dumps(value) != _DEFAULTS[name]
    shown = "–" if value in (None, []) else value if isinstance(value, str) else json.dumps(value)  # noqa: RUF001
    row = '<tr class="changed">' if changed else "<tr>"
    return f'{row}<th scope="row">{html.escape(flag(name))}</th><td>{html.escape(shown)}</td></tr>'


def _render_sheet(
    page: Path, others: list[Run], album: Album, budget: int, other_pages: Callable[[Run], Path]
) -> str:
    """Return the contact sheet: of each run the newest picture that can be shown, as a link to its page."""
    newest = {other: other.snapshots[-1].path for other in others if other.snapshots}
    pictures = album.fit(newest.values(), budget, largest=_SHEET_EDGE)
    tiles = []
    for other in others:
        address = pictures.get(newest[other]) if other in newest else None
        picture = f'<img src="{address}" alt="">' if address else '<span class="gone">no picture yet</span>'
        link, name = html.escape(_link(other_pages(other), page)), html.escape(other.name)
        kind = "running" if other.is_running else "ended"
        tiles.append(
            f'<li><a href="{link}">{picture}<strong>{name}</strong></a>'
            f'<span class="{kind}">{html.escape(describe_state(other))}</span></li>'
        )
    return f'<ul class="sheet" aria-label="Contact sheet">{"".join(tiles)}</ul>'
