// The run by causes: what is wrong, how often, since when, and for whom.

import { byId, count, fill, h, moment, plural, span } from "./dom.js";
import { hueOf } from "./credentials.js";
import { state, store } from "./state.js";
import { placeOf, signOf, worst } from "./store.js";

let drawnFor = "";
let due = 0;

const ORDER = { error: 0, warning: 1, info: 2 };

/** Brings the view up to date, at most once a second. */
export function draw() {
  if (state.view !== "summary") {
    drawnFor = "";
    return;
  }
  const key = `${store.version} ${state.held.dropped} ${state.held.unseen} ${state.rules.size}`;
  if (key === drawnFor || (drawnFor !== "" && Date.now() < due)) return;
  drawnFor = key;
  due = Date.now() + 1000;
  const causes = new Map();
  const statuses = new Map();
  let [all, fine, odd] = [0, 0, 0];
  let [first, last] = [undefined, undefined];
  for (const row of store.listed()) {
    all += 1;
    first = first ?? row;
    last = row;
    const status = row.status === 0 ? "none" : String(row.status);
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    const main = worst(row);
    const isFailed = row.status === 0 || row.status >= 400;
    if (main.severity === "" && isFailed) odd += 1;
    else if (main.severity === "" || main.severity === "info") fine += 1;
    if (main.severity === "") continue;
    const cause = causes.get(main.verdict) ?? { rule: main.verdict, severity: main.severity, rows: [], clients: new Map(), routes: new Map(), credentials: new Map(), places: new Map() };
    causes.set(main.verdict, cause);
    if ((ORDER[main.severity] ?? 3) < (ORDER[cause.severity] ?? 3)) cause.severity = main.severity;
    cause.rows.push(row);
    add(cause.clients, row.client);
    add(cause.routes, `${row.method} ${row.route}`);
    add(cause.places, placeOf(main.at));
    for (const [label, fingerprint] of row.credentials) add(cause.credentials, `${label}\n${fingerprint}`);
  }
  const sorted = [...causes.values()].sort((a, b) => (ORDER[a.severity] ?? 3) - (ORDER[b.severity] ?? 3) || b.rows.length - a.rows.length);
  const bad = sorted.filter((cause) => cause.severity !== "info").reduce((sum, cause) => sum + cause.rows.length, 0);
  fill(byId("view-summary"),
    h("h2", { text: "What is wrong, by cause" }),
    h("p", { class: "lead" },
      all === 0 ? "Nothing has passed yet." : `${plural(all, "request")}${first === last ? "" : ` in ${span(last.time - first.time)}`}: ${count(fine)} fine, ${odd > 0 ? `${count(odd)} failed without a finding, ` : ""}${count(bad)} with findings.`,
      state.query.trim() === "" ? "" : " Only what the filter lets pass is counted."),
    all === 0 ? null : statusBar(statuses, all),
    sorted.map((cause) => card(cause, all)),
    losses());
}

function add(map, value) {
  if (value !== "") map.set(value, (map.get(value) ?? 0) + 1);
}

function statusBar(statuses, all) {
  const sorted = [...statuses].sort((a, b) => a[0].localeCompare(b[0]));
  const kind = (status) => (status === "none" ? "none" : `s${status[0]}`);
  const bar = h("div", { class: "statuses", role: "img", "aria-label": sorted.map(([status, sum]) => `${status}: ${sum}`).join(", ") },
    sorted.map(([status, sum]) => {
      const part = h("span", { class: kind(status), title: `${status}: ${count(sum)}` });
      part.style.setProperty("--share", sum / all);
      return part;
    }));
  return [bar, h("p", { class: "legend" }, sorted.map(([status, sum]) => h("a", { class: kind(status), href: `#/exchanges?q=status:${status}`, text: `${status} × ${count(sum)}` })))];
}

function few(map, one, many, show = (value) => value) {
  const sorted = [...map].sort((a, b) => b[1] - a[1]);
  if (sorted.length === 0) return null;
  const shown = sorted.slice(0, 3).map(([value]) => show(value));
  const rest = sorted.length > 3 ? ` and ${plural(sorted.length - 3, "more", "more")}` : "";
  return [h("dt", { text: sorted.length === 1 ? one : `${count(sorted.length)} ${many}` }),
    h("dd", {}, shown.flatMap((item, at) => (at === 0 ? [item] : [", ", item])), rest)];
}

function card(cause, all) {
  const rule = state.rules.get(cause.rule);
  const [first, last] = [cause.rows[0], cause.rows[cause.rows.length - 1]];
  const name = (value) => h("code", { text: value });
  const secret = (value) => {
    const [label, fingerprint] = value.split("\n");
    const link = h("a", { class: "chip", href: `#/exchanges?q=credential:${fingerprint}`, text: label });
    link.style.setProperty("--hue", hueOf(fingerprint));
    return link;
  };
  const share = h("div", { class: "share", "aria-hidden": "true" }, h("span", {}));
  share.firstChild.style.setProperty("--share", cause.rows.length / all);
  return h("section", { class: `cause ${cause.severity}` },
    h("h3", {}, h("span", { class: `sign ${cause.severity}`, text: signOf(cause.severity), "aria-label": cause.severity }), " ",
      h("a", { href: `#/exchanges?q=rule:${cause.rule}`, text: cause.rule }), h("span", { class: "times", text: `× ${count(cause.rows.length)}` })),
    rule === undefined ? null : h("p", { text: `${rule.title}.` }),
    share,
    h("dl", { class: "claims" },
      few(cause.places, "to be fixed at", "places", (value) => value),
      few(cause.clients, "one client", "clients", name),
      few(cause.routes, "one route", "routes", name),
      few(cause.credentials, "one credential", "credentials", secret),
      h("dt", { text: "when" }),
      h("dd", {}, first === last ? `at ${moment(first.time)}   ` : `first ${moment(first.time)}, last ${moment(last.time)}   `,
        h("a", { href: `#/exchange/${first.id}`, text: first === last ? "show it" : "show the first" }),
        first === last ? null : ["  ", h("a", { href: `#/exchange/${last.id}`, text: "the last" })])));
}

/** What is not in the numbers above. */
function losses() {
  const all = [];
  if (state.held.dropped > 0) all.push(`${plural(state.held.dropped, "exchange")} were forgotten to make room for later ones (--inspect-memory).`);
  if (state.held.unseen > 0) all.push(`${plural(state.held.unseen, "exchange")} were not looked at, since the queue was full (--queue-memory).`);
  return all.length === 0 ? null : h("p", { class: "losses", text: `Not counted: ${all.join(" ")}` });
}
