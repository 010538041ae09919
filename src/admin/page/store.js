// What the page knows of the exchanges: short rows, in the order in which they came, what several taps saw of one request
// together, and the rows that the filter lets pass.

import { holds, parse } from "./filter.js";
import { forgetRoutes, routeOf } from "./route.js";

/** Rows that the page keeps at most, and signs of their texts; the program may hold more. */
const MOST = 250000;
const MOST_SIGNS = 100000000;

/** Texts up to this length are kept once for all; longer ones are seldom equal. */
const SHORT = 200;

/** What a row takes beside its texts, in signs. */
const OVERHEAD = 200;

/** Statuses that mean that somebody was not let in. */
const REFUSED = new Set([401, 403, 407]);

const PLACES = ["seq", "id", "path", "parent", "time", "tap", "method", "target", "status", "verdict", "severity", "at", "rules", "client", "credentials", "total", "outcome"];

const strings = new Map();

/** Equal strings as one, since there are few names and many rows. */
function one(text) {
  if (text.length > SHORT) return text;
  if (strings.size > 50000) strings.clear();
  const known = strings.get(text);
  if (known !== undefined) return known;
  strings.set(text, text);
  return text;
}

function rowOf(values) {
  const row = {};
  for (let at = 0; at < PLACES.length; at += 1) row[PLACES[at]] = values[at];
  for (const name of ["tap", "method", "verdict", "severity", "at", "client", "outcome"]) row[name] = one(row[name]);
  row.rules = row.rules.map(one);
  row.credentials = row.credentials.map(([label, fingerprint]) => [one(label), one(fingerprint)]);
  row.route = one(routeOf(row.target));
  // A step of a handshake is refused in good order.
  row.failed = row.verdict !== "handshake-step" && (row.severity === "error" || row.status === 0 || row.status >= 500 || REFUSED.has(row.status)) && row.outcome !== "client-gone";
  const labels = row.credentials.map(([label]) => label).join(" ");
  row.text = `${row.method} ${row.target} ${row.status || "none"} ${row.rules.join(" ")} ${row.verdict} ${row.client} ${row.tap} ${labels}`.toLowerCase();
  row.signs = 2 * row.target.length + row.text.length + OVERHEAD;
  // What taps behind this one saw of the same request.
  row.inner = null;
  return row;
}

/** Has two rows change what they tell, but not their place in the list nor what belongs to it. */
function swap(one, other) {
  const [seq, inner, kept] = [one.seq, one.inner, { ...one }];
  Object.assign(one, other, { seq, inner });
  Object.assign(other, kept, { seq: other.seq, inner: null });
}

/** Signs that a request takes, with what each of its taps saw. */
function signsOf(row) {
  return row.inner === null ? row.signs : row.inner.reduce((sum, inner) => sum + inner.signs, row.signs);
}

/** Counts of the values that a list of choices offers. */
class Counts {
  constructor() {
    this.of = new Map();
    this.changes = 0;
  }

  add(value, by) {
    const sum = (this.of.get(value) ?? 0) + by;
    if (sum > 0) this.of.set(value, sum);
    else this.of.delete(value);
    this.changes += 1;
  }

  /** The most frequent values. Where there are very many, those that came once are left out. */
  top(most) {
    const all = [...this.of];
    return (all.length > 20 * most ? all.filter(([, sum]) => sum > 1) : all).sort((a, b) => b[1] - a[1]).slice(0, most);
  }
}

export class Store {
  constructor(most = MOST, mostSigns = MOST_SIGNS) {
    this.most = most;
    this.mostSigns = mostSigns;
    this.words = [];
    this.version = 0;
    this.clear();
  }

  /** Forgets all rows, and what was kept of them beside. */
  clear() {
    strings.clear();
    forgetRoutes();
    /** The first row of each request, in the order in which they came; from `start` on. */
    this.rows = [];
    this.start = 0;
    /** Those that the filter lets pass, from `shownStart` on. */
    this.shown = [];
    this.shownStart = 0;
    this.byPath = new Map();
    /** Signs that all of them take. */
    this.signs = 0;
    this.counts = { status: new Counts(), rule: new Counts(), client: new Counts(), route: new Counts() };
    /** Whether the shown rows have to be chosen anew. */
    this.isStale = false;
    this.version += 1;
  }

  get size() {
    return this.rows.length - this.start;
  }

  get shownSize() {
    return this.shown.length - this.shownStart;
  }

  /** A shown row by its place, the latest one being the first. */
  shownAt(place) {
    return this.shown[this.shown.length - 1 - place];
  }

  /** The place of a shown row, or -1. */
  placeOf(row) {
    let [low, high] = [this.shownStart, this.shown.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.shown[middle].seq < row.seq) low = middle + 1;
      else high = middle;
    }
    return this.shown[low] === row ? this.shown.length - 1 - low : -1;
  }

  /** All requests, the earliest first. */
  *all() {
    for (let at = this.start; at < this.rows.length; at += 1) yield this.rows[at];
  }

  /** The requests that the filter lets pass, the earliest first. */
  *listed() {
    for (let at = this.shownStart; at < this.shown.length; at += 1) yield this.shown[at];
  }

  /** Takes rows in as they are sent. Gives how many were added to the shown ones. */
  add(batch) {
    let added = 0;
    this.isStale = false;
    for (const values of batch) {
      const row = rowOf(values);
      this.signs += row.signs;
      const first = this.byPath.get(row.path);
      if (first !== undefined && first !== row) {
        this.join(first, row);
        continue;
      }
      this.byPath.set(row.path, row);
      this.count(row, 1);
      this.rows.push(row);
      if (holds(this.words, row)) {
        this.shown.push(row);
        added += 1;
      }
    }
    if (this.isStale) this.refilter();
    this.makeRoom();
    this.version += 1;
    return added;
  }

  /** Forgets the oldest rows where there are too many, or where they take too much. */
  makeRoom() {
    let at = Math.max(this.start, this.rows.length - this.most);
    let signs = this.signs;
    for (let gone = this.start; gone < at; gone += 1) signs -= signsOf(this.rows[gone]);
    for (; signs > this.mostSigns && at < this.rows.length - 1; at += 1) signs -= signsOf(this.rows[at]);
    if (at > this.start) this.forgetBefore(this.rows[at].seq);
  }

  /** Adds what another tap saw. A request stands in the list as its first tap saw it, whoever told of it first. */
  join(first, row) {
    this.count(first, -1);
    if (row.parent === null && first.parent !== null) swap(first, row);
    first.inner = first.inner ?? [];
    first.inner.push(row);
    first.inner.sort((a, b) => a.time - b.time || a.seq - b.seq);
    this.count(first, 1);
    if (this.words.length > 0) this.judgeAnew(first);
  }

  /** Shows a request or not, of which more is known now. Mostly it is one of the latest. */
  judgeAnew(row) {
    const isListed = this.placeOf(row) >= 0;
    if (holds(this.words, row) === isListed) return;
    const last = this.shownSize > 0 ? this.shown[this.shown.length - 1] : undefined;
    if (isListed && last === row) this.shown.pop();
    else if (!isListed && (last === undefined || last.seq < row.seq)) this.shown.push(row);
    else this.isStale = true;
  }

  /** Counts a request, once for each value that one of its taps saw. */
  count(row, by) {
    if (row.inner === null) {
      this.counts.status.add(row.status === 0 ? "none" : String(row.status), by);
      for (const rule of row.rules) this.counts.rule.add(rule, by);
      if (row.client !== "") this.counts.client.add(row.client, by);
      this.counts.route.add(row.route, by);
      return;
    }
    const seen = [row, ...row.inner];
    const each = (counts, values) => new Set(values).forEach((value) => value !== "" && counts.add(value, by));
    each(this.counts.status, seen.map((one) => (one.status === 0 ? "none" : String(one.status))));
    each(this.counts.rule, seen.flatMap((one) => one.rules));
    each(this.counts.client, seen.map((one) => one.client));
    each(this.counts.route, seen.map((one) => one.route));
  }

  /** Forgets the rows before a number, which the program has forgotten as well. */
  forgetBefore(seq) {
    let gone = 0;
    while (this.start < this.rows.length && this.rows[this.start].seq < seq) {
      const row = this.rows[this.start];
      this.byPath.delete(row.path);
      this.signs -= signsOf(row);
      this.count(row, -1);
      gone += 1;
      this.start += 1;
    }
    while (this.shownStart < this.shown.length && this.shown[this.shownStart].seq < seq) this.shownStart += 1;
    if (this.start > this.rows.length / 2) {
      this.rows = this.rows.slice(this.start);
      this.start = 0;
    }
    if (this.shownStart > this.shown.length / 2) {
      this.shown = this.shown.slice(this.shownStart);
      this.shownStart = 0;
    }
    if (gone > 0) this.version += 1;
    return gone;
  }

  /** Shows the requests that an expression lets pass. */
  filter(text) {
    this.words = parse(text);
    this.refilter();
  }

  refilter() {
    const words = this.words;
    const rows = this.start === 0 ? this.rows : this.rows.slice(this.start);
    this.shown = words.length === 0 ? rows.slice() : rows.filter((row) => holds(words, row));
    this.shownStart = 0;
    this.version += 1;
  }

  /** The request with an exchange of that id. */
  byId(id) {
    for (let at = this.rows.length - 1; at >= this.start; at -= 1) {
      const row = this.rows[at];
      if (row.id === id || row.inner?.some((inner) => inner.id === id)) return row;
    }
    return undefined;
  }

  /** How often a secret was used, and how often that failed. */
  uses(fingerprint) {
    const use = { all: 0, failed: 0, first: undefined, firstFailed: undefined, label: "" };
    for (const row of this.all()) {
      const found = credentialOf(row, fingerprint);
      if (found === undefined) continue;
      use.all += 1;
      use.label = use.label || found;
      use.first = use.first ?? row;
      if (row.failed) {
        use.failed += 1;
        use.firstFailed = use.firstFailed ?? row;
      }
    }
    return use;
  }
}

/** What a request calls a secret, if it carries it at one of its taps. */
export function credentialOf(row, fingerprint) {
  for (const seen of row.inner === null ? [row] : [row, ...row.inner]) {
    const found = seen.credentials.find(([, known]) => known === fingerprint);
    if (found !== undefined) return found[0];
  }
  return undefined;
}

const RANK = { error: 3, warning: 2, info: 1 };

/** What explains a request best: the worst of what its taps say, the first tap's where they say the same. */
export function worst(row) {
  let found = row;
  for (const inner of row.inner ?? []) {
    if ((RANK[inner.severity] ?? 0) > (RANK[found.severity] ?? 0)) found = inner;
  }
  return found;
}

/** The sign that stands beside a severity. */
export function signOf(severity) {
  return severity === "error" ? "✗" : severity === "warning" ? "!" : "✓";
}

/** The sign of a request; one that failed without a finding that says why is neither fine nor wrong. */
export function signOfRow(row) {
  const severity = worst(row).severity;
  const isQuiet = severity === "" || severity === "info";
  return isQuiet && (row.status === 0 || row.status >= 400) ? "·" : signOf(severity);
}

/** Where to go and fix something, in words. */
export function placeOf(at) {
  const hop = /^hop:([^>]*)>(.*)$/.exec(at);
  if (hop !== null) return `the hop from ${hop[1]} to ${hop[2]}`;
  return at === "unknown" || at === "" ? "" : `the ${at}`;
}
