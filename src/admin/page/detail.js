// One request: what was found, with which credentials it came, and what each tap saw of it.

import { byId, copy, dateTime, fill, h, plural, printable, printableLines, saveFile, say, shortMasks, span } from "./dom.js";
import { records } from "./api.js";
import { archive, curl, fileName, report } from "./copy.js";
import { chip, fared, labels, withChips } from "./credentials.js";
import { failed } from "./main.js";
import { state, store } from "./state.js";
import { placeOf, signOf, signOfRow, worst } from "./store.js";
import { edits, heads, hops, times } from "./waterfall.js";

/** The records of the open request, the outermost tap's first, and the numbers of their rows. */
let shown = { key: "", records: [], numbers: [] };
let asked = "";
let onlyDifferent = false;

const RANK = { error: 0, warning: 1, info: 2 };

/** What was found in a request at all its taps, each rule once, the worst first. */
function findingsOf(found) {
  const all = new Map();
  for (const record of found) {
    for (const finding of record.diagnosis.findings) {
      const known = all.get(finding.rule);
      if (known === undefined) all.set(finding.rule, { ...finding, taps: [record.tap], isVerdict: record.diagnosis.verdict === finding.rule });
      else known.taps.push(record.tap);
    }
  }
  const rank = (finding) => RANK[finding.severity] ?? 3;
  return [...all.values()].sort((a, b) => rank(a) - rank(b) || Number(b.isVerdict) - Number(a.isVerdict));
}

/** Draws the open request, for which its records are asked for where they are not there yet. */
export function drawDetail() {
  const row = state.open;
  const detail = byId("detail");
  if (row === undefined) {
    forgetDetail();
    return;
  }
  detail.hidden = false;
  const numbers = [row, ...(row.inner ?? [])].map((seen) => seen.seq);
  const key = numbers.join();
  if (key === shown.key || key === asked) return;
  asked = key;
  if (shown.numbers[0] !== numbers[0]) fill(detail, top(row), h("p", { class: "none", text: "Fetching…" }));
  load(row, numbers, key);
}

/** Closes the open request, of which nothing is kept. */
export function forgetDetail() {
  const detail = byId("detail");
  detail.hidden = true;
  if (detail.firstChild !== null) fill(detail);
  shown = { key: "", records: [], numbers: [] };
}

async function load(row, numbers, key) {
  try {
    const found = await records(numbers);
    if (asked !== key || state.open !== row) return;
    const all = numbers.map((number) => found.get(number)).filter((record) => record !== undefined);
    // The outermost tap is the one that has no other before it.
    const order = new Map((state.about?.taps ?? []).map((tap, at) => [tap.name, at]));
    all.sort((a, b) => (order.get(a.tap) ?? 0) - (order.get(b.tap) ?? 0) || Date.parse(a.time) - Date.parse(b.time));
    shown = { key, records: all, numbers };
    draw(row);
  } catch (error) {
    if (asked === key) fill(byId("detail"), top(row), h("p", { class: "none", text: "This could not be fetched." }));
    failed(error);
  } finally {
    if (asked === key) asked = "";
  }
}

function top(row) {
  return h("header", { class: "head" },
    h("button", { type: "button", class: "quiet back", "aria-label": "Close (Esc)", title: "Close (Esc)", text: "✕", on: { click: () => { location.hash = "#/exchanges"; } } }),
    h("h2", { id: "detail-title" }, h("span", { class: `sign ${signOfRow(row) === "·" ? "odd" : worst(row).severity || "ok"}`, text: signOfRow(row) }), " ",
      h("span", { text: row.status === 0 ? "no answer" : row.status }), " ", h("span", { text: row.method }), " ", h("span", { class: "target", text: shortMasks(row.target) })),
    h("p", { class: "sub", text: `${dateTime(row.time)}   ${row.client}   ${span(row.total)}` }));
}

function draw(row) {
  const found = shown.records;
  if (found.length === 0) {
    fill(byId("detail"), top(row), h("p", { class: "none", text: "This exchange has been forgotten meanwhile, to make room for later ones." }));
    return;
  }
  const findings = findingsOf(found);
  const isPath = found.length > 1;
  const names = new Map(found.flatMap((record) => [...labels(record)]));
  const detail = byId("detail");
  detail.classList.toggle("only", onlyDifferent && isPath);
  const place = detail.scrollTop;
  fill(detail,
    top(row),
    h("div", { class: "actions", role: "group", "aria-label": "For somebody else" },
      action("Copy as curl", "c", copyCurl), action("Copy report", "m", copyReport), action("Save HAR", "h", saveHar),
      action("Copy link", "", () => copy(`${location.origin}/#/exchange/${row.id}`, "Link"))),
    part("Findings", findings.length === 0
      ? h("p", { class: "fine" }, h("span", { class: "sign ok", text: "✓" }), " Nothing is wrong here.")
      : findings.map((finding) => findingCard(finding, isPath, names))),
    part("Credentials", credentials(found)),
    part(isPath ? `Seen by ${found.length} taps` : "Seen by one tap",
      times(found),
      hops(found),
      isPath ? h("label", { class: "only-switch" }, onlySwitch(detail), " Only lines that differ") : null,
      h("h4", { text: "Request" }), heads(found, "request"),
      h("h4", { text: "Answer" }), heads(found, "response"),
      bodies(found)),
    part("Edits by the taps", edits(found)),
    part("Connections", connections(found)),
    raw(found));
  detail.scrollTop = place;
}

function onlySwitch(detail) {
  const box = h("input", { type: "checkbox", on: { change: () => {
    onlyDifferent = box.checked;
    detail.classList.toggle("only", onlyDifferent);
  } } });
  box.checked = onlyDifferent;
  return box;
}

function part(title, ...children) {
  if (children.flat().every((child) => child === null || child === undefined)) return null;
  return h("section", { class: "part" }, h("h3", { text: title }), children);
}

function action(text, key, act) {
  const title = key === "" ? undefined : `${text} (${key})`;
  return h("button", { type: "button", text, title, on: { click: act } });
}

/** Sentences with what they have in backticks as code. */
function sentences(text, names) {
  return text.split("`").map((part, at) => (at % 2 === 1 ? h("code", { text: part }) : withChips(part, names)));
}

const SURE = { certain: "certain: it follows from what was recorded", likely: "likely", possible: "possible: one of several explanations" };

function findingCard(finding, isPath, names) {
  const rule = state.rules.get(finding.rule);
  const where = placeOf(finding.at) === "" ? "" : `. To be fixed at ${placeOf(finding.at)}`;
  return h("section", { class: `finding ${finding.severity}` },
    h("h4", {}, h("span", { class: `sign ${finding.severity}`, text: signOf(finding.severity), "aria-label": finding.severity }), " ",
      h("a", { href: `#/exchanges?q=rule:${finding.rule}`, text: finding.rule, title: "List all exchanges with this finding" }),
      h("small", { text: ` ${finding.severity}${isPath ? `, told by ${finding.taps.join(" and ")}` : ""}` })),
    h("p", { class: "summary" }, sentences(finding.summary, names)),
    finding.evidence.length === 0 ? null : h("ul", { class: "evidence" }, finding.evidence.map((line) => h("li", {}, withChips(line, names)))),
    h("p", {}, h("b", { text: "Fix  " }), sentences(finding.fix, names)),
    h("p", {}, h("b", { text: "Sure  " }), (SURE[finding.certainty] ?? finding.certainty) + where),
    rule === undefined ? null : h("details", {},
      h("summary", { text: `What ${finding.rule} means` }),
      h("p", {}, h("b", { text: rule.title })),
      h("p", {}, sentences(rule.why, names)),
      h("p", {}, h("b", { text: "In general  " }), sentences(rule.fix, names)),
      h("p", { class: "sub", text: `Written in ${rule.spec.join(", ")}.   authtap explain ${finding.rule}` })));
}

// Credentials

function credentials(found) {
  const seen = new Map();
  for (const record of found) {
    for (const sent of record.request.credentials ?? []) {
      const key = `${sent.in} ${sent.name} ${sent.fingerprint}`;
      if (!seen.has(key)) seen.set(key, { sent, record, taps: [] });
      seen.get(key).taps.push(record.tap);
    }
  }
  if (seen.size === 0) return h("p", { class: "none", text: "There were none in the request." });
  return [...seen.values()].map(({ sent, record, taps }) => h("div", { class: "credential-card" },
    h("p", {},
      sent.fingerprint ? chip(sent.fingerprint, `${sent.scheme_as_sent} ${labels(record).get(sent.fingerprint)}`.trim()) : h("b", { text: sent.scheme_as_sent || "?" }),
      ` in the ${sent.in} `, h("code", { text: sent.name }),
      sent.length > 0 ? `, ${sent.length} bytes` : "",
      sent.user ? `, user ${printable(sent.user)}` : "",
      sent.message ? `, message ${printable(sent.message)}` : "",
      found.length > 1 ? `, at ${printable(taps.join(" and "))}` : ""),
    sent.problems.length > 0 ? h("p", { class: "problems", text: `Badly written: ${sent.problems.join(", ")}` }) : null,
    sent.jwt ? claims(sent.jwt, Date.parse(record.time)) : null,
    sent.fingerprint ? h("p", { class: "sub" }, fared(store.uses(sent.fingerprint)), "   ",
      h("a", { href: `#/exchanges?q=credential:${sent.fingerprint}`, text: "List them" })) : null));
}

function claims(jwt, at) {
  const when = (seconds) => {
    const ms = seconds * 1000;
    const apart = ms >= at ? `${span(ms - at)} after this request` : `${span(at - ms)} before this request`;
    return Number.isFinite(new Date(ms).getTime()) ? `${dateTime(ms)}, ${apart}` : String(seconds);
  };
  const rows = [
    ["alg", jwt.alg], ["kid", jwt.kid], ["typ", jwt.typ], ["iss", jwt.iss], ["aud", (jwt.aud ?? []).join(", ")], ["scope", jwt.scope],
    ["iat", jwt.iat === null ? "" : when(jwt.iat)], ["nbf", jwt.nbf === null ? "" : when(jwt.nbf)], ["exp", jwt.exp === null ? "" : when(jwt.exp)],
  ].filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h("dl", { class: "claims" }, rows.flatMap(([name, value]) => [h("dt", { text: name }), h("dd", { text: value })]));
}

// The rest

function bodies(found) {
  const texts = new Map();
  for (const record of found) {
    const text = record.response?.error_body?.text;
    if (text) texts.set(text, [...(texts.get(text) ?? []), record.tap]);
  }
  return [...texts].map(([text, taps]) => {
    const pre = h("pre", { tabindex: "0", "aria-label": "The answer's text" });
    pre.textContent = printableLines(text);
    return [h("h4", { text: found.length > 1 ? `The answer's text at ${taps.join(" and ")}` : "The answer's text" }), pre];
  });
}

function connections(found) {
  const tls = (side) => (side ? `${side.version}${side.alpn ? `, ${side.alpn}` : ""}${side.server_name ? `, ${side.server_name}` : ""}${side.verified ? "" : ", not verified"}` : "no TLS");
  return h("dl", { class: "claims" }, found.flatMap((record) => [
    h("dt", { text: record.tap }),
    h("dd", {},
      h("div", { text: `from ${record.client.addr}, connection ${record.client.connection}, ${tls(record.client.tls)}` }),
      h("div", { text: `to ${record.upstream.url}${record.upstream.addr ? ` at ${record.upstream.addr}` : ""}, ${record.upstream.reused ? "a connection used before" : "a new connection"}, ${tls(record.upstream.tls)}` }),
      h("div", { text: `${plural(record.request.body_bytes, "byte")} up, ${plural(record.response?.body_bytes ?? 0, "byte")} down; ${record.outcome}` }),
      record.failure ? h("div", { class: "problems", text: `failed at ${record.failure.step}: ${record.failure.reason}` }) : null,
      record.unfollowed ? h("div", { class: "problems", text: record.unfollowed.text }) : null,
      record.hop_header_ignored ? h("div", { class: "problems", text: `a hop header was not believed: ${record.hop_header_ignored}` }) : null)]));
}

function raw(found) {
  const pre = h("pre", { tabindex: "0", "aria-label": "The record" });
  return h("details", { class: "part", on: { toggle: () => {
    if (pre.textContent === "") pre.textContent = printableLines(found.map((record) => JSON.stringify(record, null, 2)).join("\n"));
  } } }, h("summary", { text: "The record, as JSON" }), pre);
}

// For somebody else

export function copyCurl() {
  if (shown.records.length > 0) copy(curl(shown.records[0]), "The command");
}

export function copyReport() {
  if (shown.records.length > 0) copy(report(shown.records, findingsOf(shown.records)), "The report");
}

export async function saveHar() {
  if (shown.numbers.length > 0) await saveArchive(shown.numbers, shown.records[0]?.id ?? "exchange");
}

/** Saves exchanges as an HTTP Archive. */
export async function saveArchive(numbers, name) {
  try {
    const { parts, size } = await archive(numbers);
    if (size === 0) return say("None of them is there any more");
    saveFile(fileName(name), "application/json", parts);
    say(`${plural(size, "exchange")} saved`);
  } catch (error) {
    failed(error);
  }
}
