// Behavior of a film's page: painted and source frames side by side, played frame by frame, and curves over frames.
(() => {
  const film = facts.film;
  const numbers = spread(film.painted); // of the frames that can be shown
  const last = numbers.length - 1;
  const slider = find("slider");
  let index = 0;

  function spread(ranges) { // [[1, 3], [7, 7]] to [1, 2, 3, 7]
    return ranges.flatMap(([first, end]) => Array.from({ length: end - first + 1 }, (_, i) => first + i));
  }

  // Pictures. Those of the next frames are loaded before they are due; others are let go.
  const AHEAD = 24, BEHIND = 4;
  const pictures = new Map(); // address -> picture: its element, and whether it is ready or failed
  const screens = ["painted", "source"].map((id) => {
    const { shown, whole, frames } = film.screens[id];
    return { id, box: find(id), shown, whole, has: new Set(spread(frames)), address: null };
  });
  function address([begin, end], number) {
    return begin + String(number).padStart(6, "0") + end;
  }
  function load(from) {
    if (!pictures.has(from)) {
      const picture = { element: new Image(), ready: false, failed: false };
      picture.element.decoding = "sync"; // it is shown at once, not a moment later
      picture.element.src = from;
      picture.loaded = picture.element.decode().catch(() => { picture.failed = true; })
        .then(() => { picture.ready = true; });
      pictures.set(from, picture);
    }
    return pictures.get(from);
  }
  function addresses(at) { // of the pictures of a frame that exist
    const number = numbers[at];
    return screens.filter((screen) => screen.has.has(number)).map((screen) => address(screen.shown, number));
  }
  function preload() {
    const near = new Set();
    for (let step = -BEHIND; step <= AHEAD; step++) {
      for (const from of addresses((((index + step) % (last + 1)) + last + 1) % (last + 1))) near.add(from);
    }
    for (const from of pictures.keys()) if (!near.has(from)) pictures.delete(from);
    near.forEach(load);
  }

  function put(screen, picture, number) {
    if (picture === null || picture.failed) {
      screen.box.replaceChildren();
      written("p", picture === null ? "not there" : "cannot be read", screen.box, "nothing");
      return;
    }
    picture.element.alt = screen.id + " frame " + number;
    screen.box.replaceChildren(picture.element);
  }
  function show(wanted) {
    if (last < 0) return;
    index = Math.min(Math.max(wanted, 0), last);
    const number = numbers[index];
    preload();
    for (const screen of screens) {
      const from = screen.has.has(number) ? address(screen.shown, number) : null;
      screen.address = from;
      const picture = from === null ? null : load(from);
      if (picture === null || picture.ready) put(screen, picture, number);
      else picture.loaded.then(() => { if (screen.address === from) put(screen, picture, number); });
    }
    slider.value = number;
    const shot = film.shots.findIndex(([first, end]) => first <= number && number <= end);
    const words = "Frame " + number + " of " + film.frames
      + (film.shots.length > 1 && shot >= 0 ? ", shot " + (shot + 1) : "");
    slider.setAttribute("aria-valuetext", words);
    find("caption").textContent = words;
    const { whole } = film.screens.painted;
    const file = find("file");
    file.hidden = whole === null; // the file is elsewhere: see picture_link in markup.py
    if (whole !== null) {
      file.href = address(whole, number);
      file.textContent = file.href.split("/").at(-1);
    }
    charts.moveTo(number);
    place.at = number === film.newest ? null : number; // null: the newest, also after a reload
    keep();
    sharpen();
  }

  // While the film rests, replace the small copies with the frames' own files.
  let sharpening;
  function sharpen() {
    clearTimeout(sharpening);
    if (place.playing) return;
    const number = numbers[index];
    sharpening = setTimeout(() => {
      for (const screen of screens) {
        if (screen.whole === null || !screen.has.has(number)) continue;
        const from = address(screen.whole, number);
        if (from === screen.address) continue; // it is shown already
        screen.address = from;
        const picture = { element: new Image(), failed: false };
        picture.element.onload = () => { if (screen.address === from) put(screen, picture, number); };
        picture.element.src = from;
      }
    }, 200);
  }

  // Playing shows each frame, none twice; a picture that is not ready in time makes the film slower, not jump.
  const period = 1000 / film.rate, EARLY = 4; // milliseconds; a screen's own rhythm may be a little too early
  let due = 0, ticking;
  function tick() {
    if (!place.playing) return;
    const next = index < last ? index + 1 : 0;
    const now = performance.now();
    if (now + EARLY >= due && addresses(next).every((from) => load(from).ready)) {
      if (next === 0 && !place.loop) return play(false);
      due = Math.max(due + period, now);
      show(next);
      if (next === 0 && newsAreDue) return location.reload();
    }
    ticking = requestAnimationFrame(tick);
  }
  function play(playing) {
    cancelAnimationFrame(ticking);
    place.playing = playing && last > 0;
    find("play").textContent = place.playing ? "Pause" : "Play";
    keep();
    if (place.playing) {
      due = performance.now() + period;
      ticking = requestAnimationFrame(tick);
    }
    sharpen();
  }
  function toggle() {
    if (!place.playing && index === last) show(0);
    play(!place.playing);
  }
  function step(to) {
    play(false);
    show(to);
  }
  function nearest(frame) {
    let best = 0;
    numbers.forEach((number, i) => {
      if (Math.abs(number - frame) < Math.abs(numbers[best] - frame)) best = i;
    });
    return best;
  }
  const seek = (frame) => { if (last >= 0) step(nearest(frame)); };

  find("play").addEventListener("click", toggle);
  find("previous").addEventListener("click", () => step(index - 1));
  find("next").addEventListener("click", () => step(index + 1));
  slider.addEventListener("input", () => seek(Number(slider.value)));
  for (const id of ["play", "previous", "next", "slider"]) find(id).disabled = last < 1;
  const loop = find("loop");
  loop.checked = place.loop;
  loop.addEventListener("change", () => {
    place.loop = loop.checked;
    keep();
  });
  addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || last < 1) return;
    const on = event.target;
    const keys = { ArrowLeft: () => step(index - 1), ArrowRight: () => step(index + 1), " ": toggle };
    if (!(event.key in keys) || (on !== slider && on.matches("input, button, a, summary"))) return;
    event.preventDefault();
    keys[event.key]();
  });

  // Under the slider: what is painted, and where shots begin.
  const track = find("track");
  function mark(className, first, end, title) {
    const element = written("i", "", track, className);
    const part = (frame) => (100 * (frame - 1)) / Math.max(film.frames - 1, 1);
    element.style.left = part(first) + "%";
    element.style.width = part(end) - part(first) + "%";
    element.title = title;
  }
  for (const [first, end] of film.painted) mark("done", first, end, "painted: frames " + first + " to " + end);
  film.shots.forEach(([first, end], i) => {
    if (i > 0) mark("shot", first, first, "shot " + (i + 1) + ": frames " + first + " to " + end);
  });

  // Curves over the frames.
  const curves = Object.keys(facts.curves);
  const charts = curveCharts({ along: facts.curves.frame || [], from: 1, to: film.frames, unit: "frames", seek });
  const breaks = film.shots.slice(1).map(([first]) => first);
  if (curves.includes("temporal_error")) {
    const errors = facts.curves.temporal_error.filter((error) => error !== null);
    const [least, most] = [Math.min, Math.max].map((extreme) => errors.reduce((one, other) => extreme(one, other)));
    const log = least > 0 && most > 20 * least; // often a shot's second frame differs much more than the others
    charts.draw(find("temporal"), "Temporal error", ["temporal_error"], { log, breaks });
  }
  const losses = curves.filter((column) => column.endsWith("loss"));
  if (losses.length) charts.draw(find("curves"), "Losses", losses, { log: true, breaks });
  for (const [column, title] of [["epochs", "Epochs"], ["seconds", "Seconds"]]) {
    if (curves.includes(column)) charts.draw(find("curves"), title, [column], { log: false, breaks });
  }

  // Start with the stored view state, or else the newest frame of a film that is being painted, or the first.
  find("screens").style.setProperty("--shape", film.shape);
  if (last < 0) return;
  const playing = place.playing;
  show(nearest(place.at ?? film.newest ?? 1));
  play(playing);
})();
