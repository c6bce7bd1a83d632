// Charts of curves, as SVG, with a cursor. The values are the columns of facts.curves.
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

// Return what draws charts with one horizontal axis, and what moves their cursors.
//   along: where each row of the curves stands on the axis; from, to: the ends of the axis; unit: what it counts.
//   seek: called with a place on the axis that the user points at.
function curveCharts({ along, from, to, unit, seek }) {
  const cursors = []; // functions that move a chart's cursor

  // log: logarithmic; mark: a level with words; breaks: places on the axis to mark.
  function draw(parent, title, columns, { log, mark = null, breaks = [] }) {
    const section = written("section", "", parent, "chart");
    const heading = written("h2", title, section);
    const svg = drawn("svg", { role: "img", "aria-label": title + " over " + to + " " + unit }, section);
    const legend = written("div", "", section, "legend");
    const visible = (column) => columns.length === 1 || !place.hidden.includes(column);
    const height = (value) => (value === null || (log && value <= 0) ? null : log ? Math.log10(value) : value);
    let at = along.length - 1; // row of the cursor
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
        redraw();
      });
      return { entry, value: written("b", "", entry) };
    });

    function redraw() {
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
      const span = to - from || 1;
      const x = (step) => box.left + ((step - from) / span) * (box.right - box.left);
      const y = (value) => box.bottom - ((value - low) / (high_ - low)) * (box.bottom - box.top);

      for (const tick of log ? decades(low, high_) : round(low, high_, 4)) {
        drawn("line", { x1: box.left, x2: box.right, y1: y(tick), y2: y(tick), class: "grid" }, svg);
        const label = drawn("text", { x: box.left - 6, y: y(tick) + 4, "text-anchor": "end" }, svg);
        label.textContent = words(log ? 10 ** tick : tick);
      }
      for (const tick of round(from, to, wide / 90)) {
        if (tick % 1) continue;
        drawn("text", { x: x(tick), y: high - 5, "text-anchor": "middle" }, svg).textContent = tick;
      }
      if (mark) {
        const level = y(height(mark.value));
        drawn("line", { x1: box.left, x2: box.right, y1: level, y2: level, class: "mark" }, svg);
        drawn("text", { x: box.left + 4, y: level - 4 }, svg).textContent = mark.words;
      }
      for (const step of breaks) {
        drawn("line", { x1: x(step), x2: x(step), y1: box.top, y2: box.bottom, class: "mark" }, svg);
      }
      const cursor = drawn("line", { y1: box.top, y2: box.bottom, class: "cursor" }, svg);
      const dots = columns.map((column, i) => {
        if (!visible(column)) return null;
        let path = "", pen = "M";
        facts.curves[column].forEach((value, row) => {
          const level = height(value);
          if (level !== null) path += pen + x(along[row]).toFixed(1) + " " + y(level).toFixed(1);
          pen = level === null ? "M" : "L";
        });
        drawn("path", { d: path, class: "curve colour-" + (i % 8) }, svg);
        return drawn("circle", { r: 3.5, class: "dot colour-" + (i % 8) }, svg);
      });
      moveCursor = () => {
        cursor.setAttribute("x1", x(along[at]));
        cursor.setAttribute("x2", x(along[at]));
        columns.forEach((column, i) => {
          const value = facts.curves[column][at], level = height(value);
          readings[i].value.textContent = words(value);
          readings[i].entry?.setAttribute("aria-pressed", visible(column));
          if (!dots[i]) return;
          dots[i].setAttribute("visibility", level === null ? "hidden" : "visible");
          dots[i].setAttribute("cx", x(along[at]));
          dots[i].setAttribute("cy", level === null ? 0 : y(level));
        });
      };
      moveCursor();
      svg.onpointerdown = svg.onpointermove = (event) => {
        if (!(event.buttons & 1)) return;
        const left = event.clientX - svg.getBoundingClientRect().left;
        seek(from + ((left - box.left) / (box.right - box.left)) * span);
      };
    }

    cursors.push((step) => {
      at = 0;
      while (at < along.length - 1 && along[at] < step) at++;
      moveCursor();
    });
    let width = 0;
    new ResizeObserver(() => {
      if (section.clientWidth === width) return;
      width = section.clientWidth;
      redraw();
    }).observe(section);
  }

  return { draw, moveTo: (step) => cursors.forEach((move) => move(step)) };
}
