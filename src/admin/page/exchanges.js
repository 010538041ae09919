// The list of exchanges with its filter.

import { byId, count, fill, h, plural, say, setText } from "./dom.js";
import { showUses } from "./credentials.js";
import { drawDetail, forgetDetail, saveArchive } from "./detail.js";
import { shellWord } from "./copy.js";
import { valueOf, withValue } from "./filter.js";
import { List } from "./list.js";
import { changed, state, store } from "./state.js";
import { worst } from "./store.js";

let list;
let filteredBy = "";
let facetsDue = 0;
const facetChanges = new Map();

/** Choices that a list of them offers. */
const CHOICES = 100;

export function start() {
  list = new List(byId("list"), open);
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("query").addEventListener("input", () => setQuery(byId("query").value));
  for (const select of document.querySelectorAll("select[data-word]")) {
    select.addEventListener("change", () => setQuery(withValue(state.query, select.dataset.word, select.value)));
  }
  byId("clear").addEventListener("click", () => {
    setQuery("");
    byId("query").focus();
  });
  byId("save").addEventListener("click", () => {
    const numbers = [];
    for (const row of store.listed()) numbers.push(row.seq, ...(row.inner ?? []).map((inner) => inner.seq));
    saveArchive(numbers, "exchanges");
  });
}

let tellLater = 0;

/** Filters by another expression. */
export function setQuery(query) {
  state.query = query;
  // Who hears the page is told once, when the typing is over, and not with each exchange that comes.
  clearTimeout(tellLater);
  tellLater = setTimeout(() => setText(byId("told"), `${plural(store.shownSize, "exchange")} listed`), 800);
  if (byId("query").value !== query) byId("query").value = query;
  const base = state.view === "exchanges" && state.open !== undefined ? `#/exchange/${state.open.id}` : `#/${state.view}`;
  history.replaceState(null, "", `${base}${query === "" ? "" : `?q=${encodeURIComponent(query)}`}`);
  changed();
}

/** Opens a request. */
export function open(row) {
  const place = `#/exchange/${row.id}${state.query === "" ? "" : `?q=${encodeURIComponent(state.query)}`}`;
  if (state.open === undefined) {
    location.hash = place;
    return;
  }
  // From one to the next is no step to come back from.
  history.replaceState(null, "", place);
  window.dispatchEvent(new HashChangeEvent("hashchange"));
}

/** Takes rows in as they were sent. */
export function receive(rows) {
  const added = store.add(rows);
  list.keepPlace(added);
  changed();
}

/** Forgets all that was shown: what had secrets in it is not to stay behind anywhere in the page. */
export function forget() {
  store.clear();
  Object.assign(state, { open: undefined, cursor: undefined, wanted: undefined, credential: undefined });
  list.clear();
  forgetDetail();
  facetChanges.clear();
  facetsDue = 0;
  const places = ["used", "view-summary", "view-timeline", "facet-status", "facet-rule", "facet-client", "facet-route"];
  for (const place of places) fill(byId(place));
  if (location.hash.startsWith("#/exchange/")) history.replaceState(null, "", "#/exchanges");
  state.query = "";
  byId("query").value = "";
  changed();
}

/** Goes so many rows further; with `isBad`, over those with a finding alone. */
export function step(by, isBad = false) {
  const size = store.shownSize;
  if (size === 0) return;
  const from = state.cursor === undefined ? -1 : store.placeOf(state.cursor);
  let place = from < 0 ? (by > 0 ? 0 : size - 1) : Math.max(0, Math.min(size - 1, from + by));
  if (isBad) {
    const isFine = (at) => ["", "info"].includes(worst(store.shownAt(at)).severity);
    while (place >= 0 && place < size && isFine(place)) place += by;
    if (place < 0 || place >= size) return;
  }
  state.cursor = store.shownAt(place);
  list.reveal(state.cursor);
  if (state.open !== undefined && state.open !== state.cursor) open(state.cursor);
  changed();
}

export const openCursor = () => state.cursor !== undefined && open(state.cursor);
export const pageSize = () => Math.max(1, Math.floor(byId("list").clientHeight / list.rowHeight()) - 1);
export const toEdge = (isTop) => {
  state.cursor = undefined;
  step(isTop ? 1 : -1);
};

/** Brings the list, its filter and the open request up to date. */
export function draw() {
  if (filteredBy !== state.query) {
    filteredBy = state.query;
    store.filter(state.query);
    list.toTop();
  }
  const isFiltered = state.query.trim() !== "";
  byId("clear").hidden = !isFiltered;
  byId("save").disabled = store.shownSize === 0;
  setText(byId("count"), isFiltered ? `${count(store.shownSize)} of ${count(store.size)}` : plural(store.size, "request"));
  drawFacets();
  showUses();
  if (state.view !== "exchanges") return;
  document.body.classList.toggle("open", state.open !== undefined);
  drawEmpty(isFiltered);
  list.draw();
  drawDetail();
}

function drawEmpty(isFiltered) {
  const empty = byId("empty");
  empty.hidden = store.shownSize > 0 || state.wanted !== undefined;
  if (empty.hidden) return;
  const taps = state.about?.taps ?? [];
  const key = `${isFiltered} ${taps.length}`;
  if (empty.dataset.key === key) return;
  empty.dataset.key = key;
  if (isFiltered) {
    fill(empty, h("p", { text: "No exchange is like that." }), h("p", { text: "Esc clears the filter." }));
    return;
  }
  fill(empty,
    h("p", { class: "big", text: "Nothing has passed yet." }),
    taps.length > 0 ? wayIn(taps) : null,
    h("p", { text: "Exchanges appear here as they are over." }));
}

/** How requests get to the first tap. */
function wayIn(taps) {
  const { url, socket } = taps[0];
  if (taps[0].redirected_to !== null) {
    return [h("p", { text: "What redirects connections here, and undoes it:" }), taps.map((tap) => h("pre", { text: `authtap redirect PORT --to ${tap.redirected_to} …` }))];
  }
  const to = socket === null ? `${url}/` : `--unix-socket ${/^[\w./-]+$/.test(socket) ? socket : shellWord(socket)} http://localhost/`;
  return [
    h("p", {}, "Point your client at ", socket === null ? null : "the socket ", h("code", { text: socket ?? url }), ", for example:"),
    h("pre", { text: `curl -H "Authorization: Bearer $TOKEN" ${to}` }),
    taps.length > 1 ? h("p", {}, "The gateway's upstream is ", h("code", { text: taps[1].url }), ".") : null,
  ];
}

/** The choices change with the traffic; looking for them once a second is enough. */
function drawFacets() {
  const now = Date.now();
  if (now < facetsDue) return syncFacets();
  facetsDue = now + 1000;
  for (const [name, title] of [["status", "Any status"], ["rule", "Any rule"], ["client", "Any client"], ["route", "Any route"]]) {
    const counts = store.counts[name];
    const select = byId(`facet-${name}`);
    if (facetChanges.get(name) === counts.changes || document.activeElement === select) continue;
    facetChanges.set(name, counts.changes);
    const choices = counts.top(CHOICES);
    const extra = name === "status" ? ["2xx", "4xx", "5xx"].map((value) => [value, undefined]) : [];
    fill(select, h("option", { value: "", text: title }), [...extra, ...choices].map(([value, sum]) =>
      h("option", { value, text: sum === undefined ? value : `${value}  (${count(sum)})` })));
  }
  syncFacets();
}

function syncFacets() {
  for (const select of document.querySelectorAll("select[data-word]")) {
    const value = valueOf(state.query, select.dataset.word);
    if (value !== "" && ![...select.options].some((option) => option.value === value)) {
      select.append(h("option", { value, text: value }));
    }
    if (select.value !== value) select.value = value;
    select.classList.toggle("set", value !== "");
  }
}

/** Opens the request that an address asks for, as soon as it is there. */
export function lookForWanted(isComplete) {
  if (state.wanted === undefined) return;
  const row = store.byId(state.wanted);
  if (row !== undefined) {
    state.wanted = undefined;
    state.open = row;
    state.cursor = row;
    list.reveal(row);
    changed();
    const detail = byId("detail");
    detail.scrollTop = 0;
    if (detail.hidden) {
      detail.hidden = false;
      detail.focus({ preventScroll: true });
    }
  } else if (isComplete) {
    state.wanted = undefined;
    say("That exchange is not here any more");
    changed();
  }
}
