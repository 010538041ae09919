// A list of which only the rows in sight are there, so that it does not matter how long it is.

import { clock, h, setText, shortMasks, span } from "./dom.js";
import { choose, hueOf } from "./credentials.js";
import { state, store } from "./state.js";
import { credentialOf, signOfRow, worst } from "./store.js";

/** Rows that are there beyond both edges. */
const BEYOND = 8;

/** The highest that a browser lets an element be, with room to spare. */
const HIGHEST = 15_000_000;

export class List {
  /** `open` is called with the row that was chosen. */
  constructor(container, open) {
    this.container = container;
    this.open = open;
    this.space = h("div", { class: "space", role: "presentation" });
    this.pool = [];
    this.height = 0;
    container.append(this.space);
    container.addEventListener("scroll", () => this.draw(), { passive: true });
    new ResizeObserver(() => {
      this.height = 0;
      this.draw();
    }).observe(container);
    container.addEventListener("click", (event) => {
      const row = event.target.closest(".row")?.row;
      if (row === undefined) return;
      const isCredential = event.target.closest(".credential") !== null && row.credentials.length > 0;
      if (isCredential) choose(row.credentials[0][1]);
      else this.open(row);
    });
  }

  /** The height of a row, which the style decides. */
  rowHeight() {
    if (this.height === 0) this.height = Number.parseFloat(getComputedStyle(this.container).getPropertyValue("--row")) || 30;
    return this.height;
  }

  /** Rows that can be scrolled to. */
  size() {
    return Math.min(store.shownSize, Math.floor(HIGHEST / this.rowHeight()));
  }

  /** Keeps what is looked at where it is when rows come above it. */
  keepPlace(added) {
    if (added > 0 && this.container.scrollTop > this.rowHeight() / 2) {
      this.stretch();
      this.container.scrollTop += added * this.rowHeight();
    }
  }

  stretch() {
    this.space.style.height = `${this.size() * this.rowHeight()}px`;
  }

  /** Takes the rows out of the page, with what stands in those that are out of sight. */
  clear() {
    for (const node of this.pool) node.remove();
    this.pool = [];
    this.toTop();
  }

  toTop() {
    this.container.scrollTop = 0;
  }

  /** Scrolls so far that a row is in sight. */
  reveal(row) {
    const place = store.placeOf(row);
    if (place < 0) return;
    const [height, top, room] = [this.rowHeight(), this.container.scrollTop, this.container.clientHeight];
    const start = place * height;
    if (start < top) this.container.scrollTop = start;
    else if (start + height > top + room) this.container.scrollTop = start + height - room;
  }

  /** Brings the rows in sight up to date. */
  draw() {
    if (this.container.clientHeight === 0) return;
    const height = this.rowHeight();
    const size = this.size();
    this.stretch();
    const first = Math.max(0, Math.floor(this.container.scrollTop / height) - BEYOND);
    const last = Math.min(size, Math.ceil((this.container.scrollTop + this.container.clientHeight) / height) + BEYOND);
    const needed = last - first;
    while (this.pool.length < needed) {
      const node = makeRow(this.pool.length);
      this.pool.push(node);
      this.space.append(node);
    }
    while (this.pool.length > needed + 4 * BEYOND) this.pool.pop().remove();
    this.pool.forEach((node, at) => {
      const place = first + ((at - first) % this.pool.length + this.pool.length) % this.pool.length;
      if (place >= last) {
        node.hidden = true;
        node.row = undefined;
        return;
      }
      node.hidden = false;
      drawRow(node, store.shownAt(place), place, size, height);
    });
    const active = this.pool.find((node) => !node.hidden && node.row === state.cursor);
    if (active === undefined) this.container.removeAttribute("aria-activedescendant");
    else this.container.setAttribute("aria-activedescendant", active.id);
  }
}

const CELLS = ["sign", "status", "method", "target", "verdict", "credential", "client", "total", "time"];

function makeRow(number) {
  const node = h("div", { class: "row", role: "option", id: `row-${number}` });
  node.cells = {};
  for (const name of CELLS) {
    node.cells[name] = h("span", { class: name });
    node.append(node.cells[name]);
  }
  node.key = "";
  return node;
}

function drawRow(node, row, place, size, height) {
  const main = worst(row);
  const uses = state.credential !== undefined && credentialOf(row, state.credential) !== undefined;
  const key = `${row.seq} ${row.inner?.length ?? 0} ${place} ${size} ${uses} ${row === state.cursor} ${row === state.open} ${height}`;
  if (node.key === key) return;
  node.key = key;
  if (node.row !== row || node.taps !== row.inner?.length) {
    const cells = node.cells;
    setText(cells.sign, signOfRow(row));
    setText(cells.status, row.status === 0 ? "—" : row.status);
    setText(cells.method, row.method);
    setText(cells.target, shortMasks(row.target));
    setText(cells.verdict, main.verdict === "ok" ? "" : main.verdict);
    const [label, fingerprint] = row.credentials[0] ?? ["", ""];
    setText(cells.credential, row.credentials.length > 1 ? `${label} +${row.credentials.length - 1}` : label);
    if (fingerprint !== "") cells.credential.style.setProperty("--hue", hueOf(fingerprint));
    setText(cells.client, row.client);
    setText(cells.total, row.inner === null ? span(row.total) : `${span(row.total)} · ${row.inner.length + 1} taps`);
    setText(cells.time, clock(row.time));
    node.dataset.severity = main.severity || "ok";
    node.dataset.seq = row.seq;
    const words = { "✗": "error", "!": "warning", "✓": "fine", "·": "failed" }[signOfRow(row)];
    cells.sign.setAttribute("aria-label", words);
    node.classList.toggle("odd", words === "failed");
    node.row = row;
    node.taps = row.inner?.length;
  }
  node.style.transform = `translateY(${place * height}px)`;
  node.classList.toggle("uses", uses);
  node.classList.toggle("cursor", row === state.cursor);
  node.setAttribute("aria-selected", String(row === state.open || (state.open === undefined && row === state.cursor)));
  node.setAttribute("aria-posinset", place + 1);
  node.setAttribute("aria-setsize", size);
}
