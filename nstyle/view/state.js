"use strict";
// What every page has: its data (the JSON in #facts), the view state, news. The scripts after this one use it.
const facts = JSON.parse(document.getElementById("facts").textContent);
const find = (id) => document.getElementById(id);

// The view state of this page in this tab. It survives a reload.
const PLACE = "nstyle-view:" + location.pathname;
const place = { at: null, playing: false, loop: true, original: "", divider: 50, settings: null, hidden: [] };
try {
  Object.assign(place, JSON.parse(sessionStorage.getItem(PLACE)));
} catch { /* nothing is stored, or storage is not allowed */ }
function keep() {
  try {
    sessionStorage.setItem(PLACE, JSON.stringify(place));
  } catch { /* storage is not allowed */ }
}

// Reload for updates, but not while the user drags, selects text or plays the timeline.
let held = false, newsAreDue = false;
addEventListener("pointerdown", () => { held = true; });
for (const event of ["pointerup", "pointercancel"]) addEventListener(event, () => { held = false; });
if (facts.refresh) {
  const look = () => {
    newsAreDue = true;
    if (held || place.playing || !getSelection().isCollapsed) setTimeout(look, 1000);
    else location.reload();
  };
  setTimeout(look, facts.refresh * 1000);
}

const settings = find("settings");
if (settings) {
  settings.open = place.settings ?? innerWidth > 700;
  settings.addEventListener("toggle", () => {
    place.settings = settings.open;
    keep();
  });
}
