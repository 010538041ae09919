// The page as a whole: where it is, what it hears, and which key does what.

import * as api from "./api.js";
import { byId, count, plural, say, setText } from "./dom.js";
import { choose } from "./credentials.js";
import { copyCurl, copyReport, saveHar } from "./detail.js";
import * as exchanges from "./exchanges.js";
import { changed, onChange, state, store } from "./state.js";
import * as summary from "./summary.js";
import * as timeline from "./timeline.js";

const VIEWS = ["exchanges", "summary", "timeline"];

/** Seconds that a request for news waits, and how long the page rests between two, in milliseconds. */
const PATIENCE = 20;
const REST = 120;
const LONG_REST = 2000;

/** A number behind which there are no rows. */
const NO_ROWS = Number.MAX_SAFE_INTEGER;

let until = 0;
let isListening = false;

// Hearing of news

const rest = (ms) => new Promise((done) => setTimeout(done, ms));

/** Says what went wrong with a request. */
export function failed(error) {
  if (error instanceof api.Locked) lock(error);
  else say("authtap does not answer");
}

async function listen() {
  if (isListening) return;
  isListening = true;
  let isComplete = false;
  try {
    state.about = await api.about();
    state.rules = new Map((await api.rules()).map((rule) => [rule.rule, rule]));
    setText(byId("taps"), tapsInWords(state.about.taps));
    while (true) {
      // What is held still is forgotten all the same when secrets are masked again.
      const isHeld = state.paused;
      if (isHeld) await rest(200);
      if (isHeld && !state.showsSecrets) continue;
      const asked = performance.now();
      let news;
      try {
        news = await api.rows(isHeld ? NO_ROWS : until, isComplete && !isHeld ? PATIENCE : 0, state.showsSecrets);
      } catch (error) {
        if (error instanceof api.Locked) throw error;
        live(false);
        await rest(LONG_REST);
        continue;
      }
      live(true);
      if (showsOtherwise(news.shows_secrets)) {
        // What came since then is asked for again with the rest.
        [until, isComplete] = [0, false];
        continue;
      }
      // What came after the list was held still is asked for again.
      if (isHeld || state.paused) continue;
      // Where this answer ends all that there is, the next one may wait for more.
      isComplete = news.until + 1 >= news.next;
      until = Math.max(until, news.until);
      state.held = news;
      if (news.rows.length > 0) exchanges.receive(news.rows);
      store.forgetBefore(news.oldest);
      exchanges.lookForWanted(isComplete);
      changed();
      if (isComplete) await rest(news.rows.length === 0 && performance.now() - asked < 1000 ? LONG_REST : REST);
    }
  } catch (error) {
    isListening = false;
    live(false);
    if (error instanceof api.Locked) return lock(error);
    await rest(LONG_REST);
    listen();
  }
}

function live(is) {
  if (state.isLive === is) return;
  state.isLive = is;
  changed();
}

/** Hears whether secrets are shown. Where that is over, what had them in it is forgotten here as it is in the program. */
function showsOtherwise(now) {
  const before = state.showsSecrets;
  if (before === now) return false;
  state.showsSecrets = now;
  const banner = byId("banner");
  banner.hidden = !now;
  setText(banner, now ? "SECRETS ARE SHOWN: authtap was started with --show-secrets. Show this page to nobody." : "");
  if (before === undefined) return false;
  exchanges.forget();
  say("Secrets are masked again; what came before is forgotten");
  return true;
}

/** The way of a request. */
function tapsInWords(taps) {
  if (taps[0].redirected_to !== null) return `redirected connections → ${taps.map((tap) => tap.url).join(", ")} → where they were going`;
  if (taps.length === 1) return `${taps[0].url} → ${taps[0].upstream}`;
  return [...taps.map((tap) => `${tap.name} ${tap.url}`), taps[taps.length - 1].upstream].join(" → ");
}

// The token

function lock(error) {
  const isWrong = error.message === "a wrong token";
  setText(byId("gate-why"), isWrong
    ? "The token is not that of this run. Open the link that authtap printed when it started, or paste it here."
    : "Open the link that authtap printed when it started, or paste it here. The token is new for each run.");
  byId("gate").hidden = false;
  document.body.classList.add("locked");
  byId("gate-token").focus();
}

function unlock() {
  // Another run has other exchanges under the same numbers.
  if (until > 0) return location.reload();
  byId("gate").hidden = true;
  document.body.classList.remove("locked");
  listen();
}

// Where the page is

/** Reads the address, such as `#/exchange/01K…?q=status:401`. */
function navigate() {
  const cleaned = api.takeToken(location.hash);
  if (cleaned !== undefined) {
    history.replaceState(null, "", `#${cleaned === "" ? "/exchanges" : cleaned}`);
    if (document.body.classList.contains("locked")) unlock();
  }
  const [path, search = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, id] = path.split("/");
  const words = new URLSearchParams(search);
  const before = state.view;
  state.view = VIEWS.includes(name) ? name : "exchanges";
  if (words.has("q") || name === "exchanges") state.query = words.get("q") ?? (before === "exchanges" && state.open !== undefined ? state.query : "");
  if (byId("query").value !== state.query) byId("query").value = state.query;
  if (["credential", "route", "client"].includes(words.get("by"))) state.by = words.get("by");
  const wasOpen = state.open;
  if (name === "exchange" && id) {
    if (state.open?.id !== id) {
      state.open = undefined;
      state.wanted = id;
      // While the rows are still on their way, it may come yet.
      exchanges.lookForWanted(until > 0 && until + 1 >= (state.held.next ?? Infinity));
    }
  } else if (state.view === "exchanges") {
    state.open = undefined;
    state.wanted = undefined;
    if (wasOpen !== undefined) byId("list").focus({ preventScroll: true });
  }
  changed();
}

function go(view) {
  if (state.view === view) return;
  const query = state.query === "" ? "" : `?q=${encodeURIComponent(state.query)}`;
  const open = view === "exchanges" && state.open !== undefined ? `exchange/${state.open.id}` : view;
  location.hash = `#/${open}${query}`;
}

function drawFrame() {
  for (const view of VIEWS) {
    const is = view === state.view;
    byId(`view-${view}`).hidden = !is;
    const tab = byId(`tab-${view}`);
    tab.setAttribute("aria-selected", String(is));
    tab.tabIndex = is ? 0 : -1;
  }
  document.body.dataset.view = state.view;
  const pause = byId("pause");
  pause.setAttribute("aria-pressed", String(state.paused));
  setText(pause, state.paused ? "Go on" : "Pause");
  const word = state.paused ? "held" : state.isLive ? "live" : "no connection";
  const status = byId("status");
  status.className = `status ${state.paused ? "held" : state.isLive ? "live" : "lost"}`;
  const dropped = state.held.dropped > 0 ? `, ${plural(state.held.dropped, "older one")} forgotten` : "";
  const unseen = state.held.unseen > 0 ? `, ${count(state.held.unseen)} not looked at` : "";
  setText(status, `${word}${dropped}${unseen}`);
}

// Keys

function isTyping(target) {
  return target instanceof HTMLInputElement || target instanceof HTMLSelectElement || target instanceof HTMLTextAreaElement;
}

function back() {
  if (document.activeElement === byId("query")) return byId("query").value === "" ? byId("list").focus() : exchanges.setQuery("");
  if (state.view !== "exchanges") return go("exchanges");
  if (state.open !== undefined) {
    location.hash = `#/exchanges${state.query === "" ? "" : `?q=${encodeURIComponent(state.query)}`}`;
    return undefined;
  }
  if (state.credential !== undefined) return choose(state.credential);
  return exchanges.setQuery("");
}

function pause() {
  state.paused = !state.paused;
  changed();
}

const KEYS = {
  j: () => exchanges.step(1),
  ArrowDown: () => exchanges.step(1),
  k: () => exchanges.step(-1),
  ArrowUp: () => exchanges.step(-1),
  n: () => exchanges.step(1, true),
  N: () => exchanges.step(-1, true),
  PageDown: () => exchanges.step(exchanges.pageSize()),
  PageUp: () => exchanges.step(-exchanges.pageSize()),
  Home: () => exchanges.toEdge(true),
  End: () => exchanges.toEdge(false),
  Enter: () => exchanges.openCursor(),
  u: () => state.cursor?.credentials.length > 0 && choose(state.cursor.credentials[0][1]),
  c: copyCurl,
  m: copyReport,
  h: saveHar,
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open || document.body.classList.contains("locked")) return;
  if (event.key === "Escape") return back();
  if (isTyping(event.target)) {
    if (event.key === "Enter" && event.target === byId("query")) byId("list").focus();
    return;
  }
  const isPressed = event.target.closest?.("button, a, summary") !== null && ["Enter", " "].includes(event.key);
  // Within a request, and within a page of text, these keys scroll.
  const scrolls = event.key.length > 1 && event.key !== "Enter" && event.target.closest?.("#detail, .page, [role=tablist]") !== null;
  if (isPressed || scrolls) return;
  const act = { "/": () => byId("query").focus(), "?": () => byId("help").showModal(), p: pause, 1: () => go("exchanges"), 2: () => go("summary"), 3: () => go("timeline") }[event.key]
    ?? (state.view === "exchanges" ? KEYS[event.key] : undefined);
  if (act === undefined) return;
  event.preventDefault();
  act();
}

function onTabKey(event) {
  const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (by === undefined) return;
  event.preventDefault();
  const view = VIEWS[(VIEWS.indexOf(state.view) + by + VIEWS.length) % VIEWS.length];
  go(view);
  byId(`tab-${view}`).focus();
}

function start() {
  exchanges.start();
  onChange(drawFrame);
  onChange(exchanges.draw);
  onChange(summary.draw);
  onChange(timeline.draw);
  // What is drawn once a second is drawn a last time when nothing comes any more.
  setInterval(changed, 1000);
  for (const tab of document.querySelectorAll("[role=tab]")) {
    tab.addEventListener("click", () => go(tab.dataset.view));
    tab.addEventListener("keydown", onTabKey);
  }
  byId("pause").addEventListener("click", pause);
  byId("help-open").addEventListener("click", () => byId("help").showModal());
  byId("gate-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const given = byId("gate-token").value.trim();
    if (api.takeToken(given.slice(given.indexOf("#"))) === undefined && /^[A-Za-z0-9_-]+$/.test(given)) api.setToken(given);
    byId("gate-token").value = "";
    unlock();
  });
  window.addEventListener("hashchange", navigate);
  window.addEventListener("keydown", onKey);
  navigate();
  listen();
}

start();
