// When a credential, a route or a client began to fail.

import { byId, count, fill, h, moment, plural, span } from "./dom.js";
import { hueOf } from "./credentials.js";
import { changed, state, store } from "./state.js";

/** Lanes that are shown, and cells of a lane. */
const LANES = 40;
const CELLS = 60;

let drawnFor = "";
let due = 0;

const KINDS = [["credential", "Credentials"], ["route", "Routes"], ["client", "Clients"]];

/** What a request counts for. */
function keysOf(row) {
  if (state.by === "credential") return row.credentials.map(([label, fingerprint]) => [fingerprint, label]);
  if (state.by === "route") return [[`${row.method} ${row.route}`, `${row.method} ${row.route}`]];
  return row.client === "" ? [] : [[row.client, row.client]];
}

/** How each fared, the worst first. */
function lanesOf() {
  const lanes = new Map();
  for (const row of store.listed()) {
    for (const [key, label] of keysOf(row)) {
      let lane = lanes.get(key);
      if (lane === undefined) {
        lane = { key, label, all: 0, failed: 0, before: 0, firstFailed: undefined, lastFine: undefined, lastFailed: undefined, fineAfter: 0, cells: undefined };
        lanes.set(key, lane);
      }
      lane.all += 1;
      if (row.failed) {
        lane.failed += 1;
        lane.firstFailed = lane.firstFailed ?? row;
        lane.lastFailed = row;
        lane.fineAfter = 0;
      } else {
        if (lane.firstFailed === undefined) lane.before += 1;
        else lane.fineAfter += 1;
        lane.lastFine = row;
      }
    }
  }
  return [...lanes.values()].sort((a, b) => Number(b.failed > 0) - Number(a.failed > 0) || b.failed - a.failed || b.all - a.all);
}

/** Counts what came when, for the lanes that are shown. */
function fillCells(shown, from, step) {
  const lanes = new Map(shown.map((lane) => [lane.key, lane]));
  for (const lane of shown) lane.cells = new Uint32Array(2 * CELLS);
  for (const row of store.listed()) {
    const cell = Math.min(CELLS - 1, Math.floor((row.time - from) / step));
    for (const [key] of keysOf(row)) {
      const lane = lanes.get(key);
      if (lane !== undefined) lane.cells[2 * cell + Number(row.failed)] += 1;
    }
  }
}

/** The same in words. */
function words(lane) {
  const since = lane.firstFailed;
  if (since === undefined) return `fine each time (${count(lane.all)})`;
  const fine = lane.all - lane.failed;
  if (fine === 0) return `failed each time (${count(lane.all)}), since ${moment(since.time)}`;
  if (lane.before === fine) return `fine ${plural(lane.before, "time")}, failing since ${moment(since.time)} (${plural(lane.failed, "time")})`;
  if (lane.fineAfter > 0 && lane.lastFine.time >= lane.lastFailed.time && lane.before + lane.fineAfter === fine) {
    return `failed ${plural(lane.failed, "time")} from ${moment(since.time)} to ${moment(lane.lastFailed.time)}, fine again since (${count(lane.fineAfter)})`;
  }
  return `fine and failing in turns: failed ${count(lane.failed)} of ${count(lane.all)}, first at ${moment(since.time)}`;
}

function strip(lane, from, step) {
  const cells = [];
  let most = 1;
  for (let at = 0; at < CELLS; at += 1) most = Math.max(most, lane.cells[2 * at] + lane.cells[2 * at + 1]);
  for (let at = 0; at < CELLS; at += 1) {
    const [fine, failed] = [lane.cells[2 * at], lane.cells[2 * at + 1]];
    if (fine + failed === 0) {
      cells.push(h("i", {}));
      continue;
    }
    const kind = failed === 0 ? "fine" : fine === 0 ? "failed" : "mixed";
    const cell = h("i", { class: kind, title: `${moment(from + at * step)}: ${count(fine)} fine, ${count(failed)} failed` });
    cell.style.setProperty("--size", `${35 + 65 * ((fine + failed) / most)}%`);
    cell.style.setProperty("--bad", `${(100 * failed) / (fine + failed)}%`);
    cells.push(cell);
  }
  return h("div", { class: "strip", role: "img", "aria-label": words(lane) }, cells);
}

function laneView(lane, from, step) {
  const word = { credential: "credential", route: "route", client: "client" }[state.by];
  const value = state.by === "route" ? lane.key.slice(lane.key.indexOf(" ") + 1) : lane.key;
  const name = h("a", { class: state.by === "credential" ? "chip" : "name", href: `#/exchanges?q=${encodeURIComponent(`${word}:${value}`)}`, text: lane.label });
  if (state.by === "credential") name.style.setProperty("--hue", hueOf(lane.key));
  const link = lane.firstFailed === undefined ? null : h("a", { href: `#/exchange/${lane.firstFailed.id}`, text: "the first failure" });
  return h("section", { class: `over-time ${lane.failed > 0 ? "bad" : "good"}` },
    h("h3", {}, h("span", { class: `sign ${lane.failed > 0 ? "error" : "ok"}`, text: lane.failed > 0 ? "✗" : "✓" }), " ", name),
    strip(lane, from, step),
    h("p", { class: "words" }, words(lane), link === null ? null : ["   ", link]));
}

/** Brings the view up to date, at most once a second. */
export function draw() {
  if (state.view !== "timeline") {
    drawnFor = "";
    return;
  }
  const key = `${store.version} ${state.by}`;
  if (key === drawnFor || (drawnFor.endsWith(` ${state.by}`) && Date.now() < due)) return;
  drawnFor = key;
  due = Date.now() + 1000;
  let [from, to] = [Infinity, -Infinity];
  for (const row of store.listed()) {
    from = Math.min(from, row.time);
    to = Math.max(to, row.time);
  }
  const lanes = from <= to ? lanesOf() : [];
  const shown = lanes.slice(0, LANES);
  const step = Math.max(1, (to - from) / CELLS);
  fillCells(shown, from, step);
  fill(byId("view-timeline"),
    h("h2", { text: "When it began to fail" }),
    h("div", { class: "choice", role: "group", "aria-label": "By" }, KINDS.map(([by, text]) =>
      h("button", { type: "button", text, "aria-pressed": String(state.by === by), on: { click: () => {
        history.replaceState(null, "", `#/timeline?by=${by}`);
        state.by = by;
        changed();
      } } }))),
    lanes.length === 0
      ? h("p", { class: "lead", text: state.by === "credential" ? "No credentials have passed yet." : "Nothing has passed yet." })
      : [
        h("p", { class: "lead" }, `${moment(from)} to ${moment(to)}, ${span(to - from)}. `,
          h("span", { class: "key good", text: "fine" }), "   ", h("span", { class: "key failed", text: "failed: 401, 403, 407, 5xx, no answer, or an error was found" })),
        shown.map((lane) => laneView(lane, from, step)),
        lanes.length > LANES ? h("p", { class: "sub", text: `${count(lanes.length - LANES)} more are not shown; the filter brings them here.` }) : null,
      ]);
}
