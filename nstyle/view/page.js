// Behavior of a painting's page: timeline of snapshots, comparison, curves.
(() => {
  if (!find("slider")) return;

  const snapshots = facts.snapshots;
  const last = snapshots.length - 1;
  const painting = find("painting"), original = find("original"), frame = find("frame"), slider = find("slider");
  let index = last;

  // The timeline.
  function show(wanted) {
    if (last < 0) return;
    index = Math.min(Math.max(wanted, 0), last);
    const snapshot = snapshots[index];
    painting.src = snapshot.picture;
    const atOnce = snapshot.epoch === 0; // by a painter
    const after = snapshot.stage ? "stage " + snapshot.epoch : "epoch " + snapshot.epoch;
    painting.alt = atOnce ? "The painting" : "The painting after " + after;
    slider.value = index;
    const words = atOnce ? "In one pass" : (snapshot.final ? "Final, after " : "After ") + after;
    slider.setAttribute("aria-valuetext", words);
    find("caption").textContent = words + (last > 0 ? " (" + (index + 1) + " of " + (last + 1) + ")" : "");
    const file = find("file");
    file.hidden = snapshot.href === null; // the file is elsewhere: see _picture_link in page.py
    file.textContent = snapshot.name;
    if (snapshot.href !== null) file.href = snapshot.href;
    charts.moveTo(snapshot.epoch);
    place.at = index === last ? null : snapshot.epoch; // null: the newest, also after a reload
    keep();
    sharpen(snapshot);
  }

  // Replace the small picture with the full-size file, if that still exists and the browser supports its format.
  let sharpening;
  function sharpen(snapshot) {
    clearTimeout(sharpening);
    if (snapshot.href === null || !snapshot.shown || place.playing) return;
    sharpening = setTimeout(() => {
      const whole = new Image();
      whole.onload = () => { if (snapshots[index] === snapshot) painting.src = whole.src; };
      whole.src = snapshot.href;
    }, 200);
  }

  let clock;
  function play(playing) {
    clearInterval(clock);
    place.playing = playing && last > 0;
    find("play").textContent = place.playing ? "Pause" : "Play";
    if (place.playing) {
      clock = setInterval(() => (index < last ? show(index + 1) : play(false)), 1000 / facts.rate);
    } else if (last >= 0) {
      sharpen(snapshots[index]);
    }
    keep();
  }
  function toggle() {
    if (!place.playing && index === last) show(0);
    play(!place.playing);
  }
  function step(to) {
    play(false);
    show(to);
  }
  function showEpoch(epoch) {
    let nearest = last;
    snapshots.forEach((snapshot, i) => {
      if (Math.abs(snapshot.epoch - epoch) < Math.abs(snapshots[nearest].epoch - epoch)) nearest = i;
    });
    show(nearest);
  }

  find("play").addEventListener("click", toggle);
  find("previous").addEventListener("click", () => step(index - 1));
  find("next").addEventListener("click", () => step(index + 1));
  slider.max = Math.max(last, 0);
  slider.addEventListener("input", () => step(Number(slider.value)));
  for (const id of ["play", "previous", "next", "slider"]) find(id).disabled = last < 1;
  addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const on = event.target;
    const keys = {
      ArrowLeft: () => step(index - 1), ArrowRight: () => step(index + 1),
      Home: () => step(0), End: () => step(last), " ": toggle,
    };
    const ownKeys = on === slider ? event.key !== " " : on.matches("input, button, a, summary");
    if (!(event.key in keys) || ownKeys || last < 1) return;
    if ((event.key === "Home" || event.key === "End") && on !== slider) return; // these keys scroll the page
    event.preventDefault();
    keys[event.key]();
  });

  // Comparison: the original to the left of the divider, the painting to the right.
  const choices = [...document.querySelectorAll("input[name=original]")];
  const divider = find("divider");
  function compare(value) {
    const source = find("input-" + value);
    const on = Boolean(source) && last >= 0;
    place.original = on ? value : "";
    for (const choice of choices) choice.checked = choice.value === place.original;
    if (on) {
      original.src = source.src;
      original.alt = "The " + source.alt + " picture";
      find("original-badge").textContent = source.alt;
    }
    for (const id of ["original", "handle", "original-badge", "painting-badge"]) find(id).hidden = !on;
    divider.disabled = !on;
    frame.classList.toggle("divided", on);
    keep();
  }
  function divide(percent) {
    place.divider = Math.min(Math.max(Math.round(percent), 0), 100);
    divider.value = place.divider;
    frame.style.setProperty("--divider", place.divider + "%");
    keep();
  }
  for (const choice of choices) choice.addEventListener("change", () => compare(choice.value));
  divider.addEventListener("input", () => divide(Number(divider.value)));
  const drag = (event) => {
    if (!place.original || !(event.buttons & 1)) return;
    const box = frame.getBoundingClientRect();
    divide((100 * (event.clientX - box.left)) / box.width);
  };
  frame.addEventListener("pointerdown", (event) => {
    if (place.original) frame.setPointerCapture(event.pointerId);
    drag(event);
  });
  frame.addEventListener("pointermove", drag);
  frame.addEventListener("dragstart", (event) => event.preventDefault());

  // Curves.
  const epochs = facts.curves.epoch || [];
  const charts = curveCharts({
    along: epochs, from: epochs[0], to: epochs.at(-1), unit: "epochs",
    seek(epoch) {
      if (last < 0) return;
      play(false);
      showEpoch(epoch);
    },
  });
  const chart = (title, columns, options) => charts.draw(find("curves"), title, columns, options);

  const columns = Object.keys(facts.curves).filter((column) => column !== "epoch" && column !== "seconds");
  if (epochs.length === 0) {
    const why = snapshots.length ? "No curves: there were no epochs." : "No curves yet: they appear after the first epoch.";
    written("p", why, find("curves"), "note");
  } else {
    const losses = columns.filter((column) => column === "loss" || column.includes("loss"));
    if (losses.length) chart("Losses", losses, { log: true });
    const mark = facts.stop_eps ? { value: facts.stop_eps, words: "stops below " + facts.stop_eps } : null;
    if (columns.includes("relative_change")) chart("Relative change", ["relative_change"], { log: true, mark });
    if (columns.includes("learning_rate")) chart("Learning rate", ["learning_rate"], { log: false });
    const drawnAbove = [...losses, "relative_change", "learning_rate"];
    for (const column of columns) {
      if (drawnAbove.includes(column)) continue;
      const positive = facts.curves[column].every((value) => value === null || value > 0);
      const title = nameOf(column);
      chart(title.charAt(0).toUpperCase() + title.slice(1), [column], { log: positive });
    }
  }

  // Start with the stored view state, or else the newest picture.
  if (last < 0) {
    find("nothing").hidden = false;
    return;
  }
  find("nothing").hidden = true;
  painting.hidden = false;
  painting.addEventListener("load", () => {
    frame.style.setProperty("--shape", painting.naturalWidth / painting.naturalHeight);
  }, { once: true });
  const playing = place.playing;
  divide(place.divider);
  compare(place.original);
  if (place.at === null) show(last);
  else showEpoch(place.at);
  play(playing);
})();
