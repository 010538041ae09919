// One request at all its taps: when each saw it, and what each saw, side by side, with what differs marked.

import { h, printable, shortMasks, span } from "./dom.js";
import { align, cellParts, marked, whole } from "./diff.js";
import { labels, withChips } from "./credentials.js";

/** The times of all taps, one under the other. */
export function times(records) {
  const starts = records.map((record) => Date.parse(record.time));
  // Times are told to the millisecond, so what is within an exchange may seem to begin that much too late.
  for (let at = 1; at < records.length; at += 1) {
    const late = starts[at] + records[at].timing.total_ms - (starts[0] + records[0].timing.total_ms);
    if (late > 0 && late <= 1) starts[at] = Math.max(starts[0], starts[at] - late);
  }
  const start = Math.min(...starts);
  const end = Math.max(...records.map((record, at) => starts[at] + record.timing.total_ms));
  const whole = Math.max(end - start, 0.001);
  const lanes = records.map((record, at) => {
    const { connect_ms: connect, first_byte_ms: first, total_ms: total } = record.timing;
    const parts = [
      ["connect", 0, connect ?? 0, "connecting"],
      ["wait", connect ?? 0, first ?? total, "waiting for the first byte"],
      ["receive", first ?? total, total, "receiving"],
    ].filter(([, from, to]) => to > from);
    const bar = h("div", { class: "bar" }, parts.map(([name, from, to, words]) => {
      const part = h("span", { class: name, title: `${words}: ${span(to - from)}` });
      part.style.setProperty("--from", `${((starts[at] - start + from) / whole) * 100}%`);
      part.style.setProperty("--size", `${((to - from) / whole) * 100}%`);
      return part;
    }));
    const words = parts.map(([, from, to, words]) => `${words} ${span(to - from)}`).join(", ");
    return h("div", { class: "lane", role: "listitem" },
      h("span", { class: "tap", text: record.tap }),
      bar,
      h("span", { class: "took", text: span(total) }),
      h("span", { class: "unseen", text: words }));
  });
  return h("div", { class: "lanes" }, h("div", { role: "list", "aria-label": "When each tap saw it" }, lanes),
    h("p", { class: "legend", "aria-hidden": "true" },
      h("span", { class: "connect", text: "connect" }), h("span", { class: "wait", text: "wait" }), h("span", { class: "receive", text: "receive" })));
}

/** A message as all taps saw it: `request` or `response`. */
export function heads(records, side) {
  const seen = records.filter((record) => record[side] !== null && record[side] !== undefined);
  if (seen.length === 0) return h("p", { class: "none", text: "There was no answer." });
  const rows = align(seen.map((record) => record[side].headers));
  const startLines = seen.map((record) => startLine(record, side));
  const isSame = startLines.every((line) => line === startLines[0]);
  const table = h("div", { class: "heads", role: "table", "aria-label": side === "request" ? "Request" : "Answer" });
  table.style.setProperty("--taps", seen.length);
  if (seen.length > 1) {
    table.append(h("div", { class: "line names", role: "row" },
      seen.map((record) => h("div", { role: "columnheader", text: `${side === "request" ? "in at" : "back at"} ${record.tap}` }))));
  }
  table.append(line(seen, isSame, (column) => {
    const other = startLines[column === 0 ? 1 : column - 1];
    const parts = other === undefined || isSame ? whole(startLines[column], false) : marked(startLines[column], other);
    return h("b", { class: "start" }, parts.map((part) => piece(part, labels(seen[column]))));
  }));
  for (const row of rows) {
    table.append(line(seen, row.same, (column) => {
      if (row.cells[column] === null) return h("span", { class: "none", text: "(not there)" });
      const parts = cellParts(row.cells, column);
      const names = labels(seen[column]);
      return [
        h("span", { class: "field" }, parts.name.map((part) => piece(part, names))), ": ",
        h("span", { class: "value" }, parts.value.map((part) => piece(part, names))),
      ];
    }, (column) => row.cells[column] === null));
  }
  return table;
}

function line(seen, isSame, cell, isAbsent = () => false) {
  const is = isSame || seen.length === 1;
  return h("div", { class: `line ${is ? "same" : "differs"}`, role: "row" },
    seen.map((record, column) => h("div", { class: `cell${isAbsent(column) ? " absent" : ""}`, role: "cell" },
      is ? null : h("span", { class: "tap", text: record.tap }),
      h("span", { class: "text" }, cell(column)))));
}

function piece(part, names) {
  const children = withChips(part.text, names);
  return part.differs ? h("mark", {}, children) : children;
}

/** The first line of a message. */
export function startLine(record, side) {
  const message = record[side];
  return side === "request"
    ? `${message.method} ${message.target} ${message.version}`
    : `${message.version} ${message.status}${message.by_tap ? "  (made by the tap)" : ""}`;
}

/** What the hops between the taps did, as the records say. */
export function hops(records) {
  const all = new Map();
  for (const record of records) {
    for (const hop of record.hops ?? []) all.set(`${hop.from}>${hop.to}`, hop);
  }
  return [...all.values()].map((hop) => h("section", { class: "hop" },
    h("h4", { text: `${hop.from} → ${hop.to}` }, h("small", { text: joined(hop) })),
    hop.changes.length === 0
      ? h("p", { class: "none", text: "Nothing that matters was changed." })
      : h("ul", {}, hop.changes.map((change) => h("li", {},
        h("b", { text: change.name }), ` (${change.in}) `,
        h("span", { text: change.text }),
        change.before === null && change.after === null ? null : h("span", { class: "was" }, " ",
          h("del", { text: shortMasks(change.before ?? "(none)") }), " → ", h("ins", { text: shortMasks(change.after ?? "(none)") })),
        change.sure ? null : h("small", { text: " (a guess)" }))))));
}

function joined(hop) {
  if (hop.requests === 0) return "  nothing arrived";
  const by = { "hop-header": "the hop header", "trace-id": "a trace id", "request-id": "a request id", likeness: "method, path and time" }[hop.join];
  return by === undefined ? "" : `  known again by ${by}`;
}

/** What the taps themselves changed. */
export function edits(records) {
  const all = records.flatMap((record) => (record.edits ?? []).map((edit) =>
    h("li", {}, h("b", { text: `${record.tap}: ${edit.what}` }), ` ${printable(edit.from) || "(none)"} → ${printable(edit.to) || "(none)"}, since ${edit.why}`)));
  return all.length === 0 ? null : h("ul", { class: "edits" }, all);
}
