"use strict";
// Behavior of the page: timeline of snapshots, comparison, curves with a cursor. The data is the JSON in #facts.
(() => {
  const facts = JSON.parse(document.getElementById("facts").textContent);
  const find = (id) => document.getElementById(id);

  // The view state of this page in this tab. It survives a reload.
  const PLACE = "nstyle-view:" + location.pathname;
  const place = { at: null, playing: false, original: "", divider: 50, settings: null, hidden: [] };
  try {
    Object.assign(place, JSON.parse(sessionStorage.getItem(PLACE)));
  } catch { /* nothing is stored, or storage is not allowed */ }
  function keep() {
    try {
      sessionStorage.setItem(PLACE, JSON.stringify(place));
    } catch { /* storage is not allowed */ }
  }

  // Reload for updates, but not while the user drags, selects text or plays the timeline.
  let held = false;
  addEventListener("pointerdown", () => { held = true; });
  for (const event of ["pointerup", "pointercancel"]) addEventListener(event, () => { held = false; });
  if (facts.refresh) {
    const look = () => {
      if (held || place.playing || !getSelection().isCollapsed) setTimeout(look, 1000);
      else location.reload();
    };
    setTimeout(look, facts.refresh * 1000);
  }
  if (!find("slider")) return;

  const snapshots = facts.snapshots;
  const last = snapshots.length - 1;
  const painting = find("painting"), original = find("original"), frame = find("frame"), slider = find("slider");
  const cursors = []; // functions that move a chart's cursor to an epoch
  let index = last;

  // The timeline.
  function show(wanted) {
    if (last < 0) return;
    index = Math.min(Math.max(wanted, 0), last);
    const snapshot = snapshots[index];
    painting.src = snapshot.picture;
    const atOnce = snapshot.epoch === 0; // by a painter
    painting.alt = atOnce ? "The painting" : "The painting after " + snapshot.epoch + " epochs";
    slider.value = index;
    const words = atOnce ? "In one pass" : (snapshot.final ? "Final, after epoch " : "After epoch ") + snapshot.epoch;
    slider.setAttribute("aria-valuetext", words);
    find("caption").textContent = words + (last > 0 ? " (" + (index + 1) + " of " + (last + 1) + ")" : "");
    const file = find("file");
    file.hidden = snapshot.href === null; // the file is elsewhere: see _picture_link in page.py
    file.textContent = snapshot.name;
    if (snapshot.href !== null) file.href = snapshot.href;
    for (const move of cursors) move(snapshot.epoch);
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
  const NAMES = new Map([["loss", "content + style"]]);
  function nameOf(column) {
    if (column.startsWith("style_loss_")) return column.slice("style_loss_".length); // a layer
    return NAMES.get(column) || column.replace(/_loss$/, "").replaceAll("_", " ");
  }
  const SUPERSCRIPT = [..."⁰¹²³⁴⁵⁶⁷⁸⁹"];
  function words(value) {
    if (value === null || value === undefined) return "–";
    if (value === 0) return "0";
    const power = Math.floor(Math.log10(Math.abs(value)) + 1e-9);
    if (power >= -4 && power < 5) return String(Number(value.toPrecision(3)));
    const raised = [...String(power)].map((c) => (c === "-" ? "⁻" : SUPERSCRIPT[c])).join("");
    const factor = Number((value / 10 ** power).toPrecision(3));
    return (factor === 1 ? "" : factor + "·") + "10" + raised;
  }
  function drawn(kind, attributes, parent) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", kind);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    parent.append(element);
    return element;
  }
  function written(kind, text, parent, className) {
    const element = document.createElement(kind);
    element.textContent = text;
    if (className) element.className = className;
    parent.append(element);
    return element;
  }
  function round(from, to, count) { // about `count` round numbers between two values
    const rough = (to - from) / count || 1;
    const power = 10 ** Math.floor(Math.log10(rough));
    const by = [1, 2, 5, 10].find((factor) => factor * power >= rough) * power;
    const ticks = [];
    for (let i = Math.ceil(from / by - 1e-9); i * by <= to + by * 1e-9 && ticks.length < 100; i++) ticks.push(i * by);
    return ticks;
  }
  function decades(from, to) { // logarithms of round numbers between two logarithms
    for (const factors of [[1], [1, 2, 5]]) {
      const ticks = [];
      for (let power = Math.floor(from); power <= to; power++) {
        for (const factor of factors) ticks.push(Math.log10(factor) + power);
      }
      let inside = ticks.filter((tick) => tick >= from && tick <= to);
      if (inside.length > 6) inside = inside.filter((_, i) => i % Math.ceil(inside.length / 6) === 0);
      if (inside.length > 1) return inside;
    }
    return round(10 ** from, 10 ** to, 3).filter((tick) => tick > 0).map(Math.log10);
  }

  function chart(title, columns, { log, mark }) {
    const section = written("section", "", find("curves"), "chart");
    const heading = written("h2", title, section);
    const svg = drawn("svg", { role: "img", "aria-label": title + " over " + epochs.at(-1) + " epochs" }, section);
    const legend = written("div", "", section, "legend");
    const visible = (column) => columns.length === 1 || !place.hidden.includes(column);
    const height = (value) => (value === null || (log && value <= 0) ? null : log ? Math.log10(value) : value);
    let at = epochs.length - 1; // row of the cursor
    let moveCursor = () => {};

    const readings = columns.map((column, i) => {
      if (columns.length === 1) return { value: written("b", "", heading) };
      const entry = written("button", "", legend, "series");
      written("i", "", entry, "swatch colour-" + (i % 8));
      written("span", nameOf(column), entry);
      entry.type = "button";
      entry.title = "Show or hide";
      entry.addEventListener("click", () => {
        place.hidden = visible(column) ? [...place.hidden, column] : place.hidden.filter((each) => each !== column);
        keep();
        draw();
      });
      return { entry, value: written("b", "", entry) };
    });

    function draw() {
      const wide = svg.getBoundingClientRect().width, high = columns.length > 1 ? 230 : 150;
      const box = { left: 54, right: wide - 12, top: 8, bottom: high - 22 };
      svg.replaceChildren();
      svg.setAttribute("viewBox", "0 0 " + wide + " " + high); // one unit is one pixel
      const shown = columns.filter(visible);
      const values = shown.flatMap((column) => facts.curves[column].map(height)).filter((value) => value !== null);
      if (mark) values.push(height(mark.value));
      if (!log) values.push(0);
      let low = values.length ? values.reduce((a, b) => Math.min(a, b)) : 0;
      let high_ = values.length ? values.reduce((a, b) => Math.max(a, b)) : 1;
      const margin = (high_ - low || (log ? 0.1 : 1)) * 0.06;
      high_ += margin;
      low -= log ? margin : 0;
      const first = epochs[0], span = epochs.at(-1) - first || 1;
      const x = (epoch) => box.left + ((epoch - first) / span) * (box.right - box.left);
      const y = (value) => box.bottom - ((value - low) / (high_ - low)) * (box.bottom - box.top);

      for (const tick of log ? decades(low, high_) : round(low, high_, 4)) {
        drawn("line", { x1: box.left, x2: box.right, y1: y(tick), y2: y(tick), class: "grid" }, svg);
        const label = drawn("text", { x: box.left - 6, y: y(tick) + 4, "text-anchor": "end" }, svg);
        label.textContent = words(log ? 10 ** tick : tick);
      }
      for (const tick of round(first, epochs.at(-1), wide / 90)) {
        if (tick % 1) continue;
        drawn("text", { x: x(tick), y: high - 5, "text-anchor": "middle" }, svg).textContent = tick;
      }
      if (mark) {
        const level = y(height(mark.value));
        drawn("line", { x1: box.left, x2: box.right, y1: level, y2: level, class: "mark" }, svg);
        drawn("text", { x: box.left + 4, y: level - 4 }, svg).textContent = mark.words;
      }
      const cursor = drawn("line", { y1: box.top, y2: box.bottom, class: "cursor" }, svg);
      const dots = columns.map((column, i) => {
        if (!visible(column)) return null;
        let path = "", pen = "M";
        facts.curves[column].forEach((value, row) => {
          const level = height(value);
          if (level !== null) path += pen + x(epochs[row]).toFixed(1) + " " + y(level).toFixed(1);
          pen = level === null ? "M" : "L";
        });
        drawn("path", { d: path, class: "curve colour-" + (i % 8) }, svg);
        return drawn("circle", { r: 3.5, class: "dot colour-" + (i % 8) }, svg);
      });
      moveCursor = () => {
        cursor.setAttribute("x1", x(epochs[at]));
        cursor.setAttribute("x2", x(epochs[at]));
        columns.forEach((column, i) => {
          const value = facts.curves[column][at], level = height(value);
          readings[i].value.textContent = words(value);
          readings[i].entry?.setAttribute("aria-pressed", visible(column));
          if (!dots[i]) return;
          dots[i].setAttribute("visibility", level === null ? "hidden" : "visible");
          dots[i].setAttribute("cx", x(epochs[at]));
          dots[i].setAttribute("cy", level === null ? 0 : y(level));
        });
      };
      moveCursor();
      svg.onpointerdown = svg.onpointermove = (event) => {
        if (!(event.buttons & 1) || last < 0) return;
        const left = event.clientX - svg.getBoundingClientRect().left;
        play(false);
        showEpoch(first + ((left - box.left) / (box.right - box.left)) * span);
      };
    }

    cursors.push((epoch) => {
      at = 0;
      while (at < epochs.length - 1 && epochs[at] < epoch) at++;
      moveCursor();
    });
    let width = 0;
    new ResizeObserver(() => {
      if (section.clientWidth === width) return;
      width = section.clientWidth;
      draw();
    }).observe(section);
  }

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
  const settings = find("settings");
  settings.open = place.settings ?? innerWidth > 700;
  settings.addEventListener("toggle", () => {
    place.settings = settings.open;
    keep();
  });
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
