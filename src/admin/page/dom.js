// Making elements. All text goes in as text: there is no way here by which it could become markup.

// What a reader would not see, or what would turn the order of what they see: controls, bidirectional marks, separators, and
// what has no width.
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e01ef}]/gu;

/** The text with what can't be seen written as its code. */
export function printable(text) {
  return String(text).replace(UNPRINTABLE, (sign) => `\\u{${sign.codePointAt(0).toString(16)}}`);
}

/** The same, with its line ends and tabs. */
export function printableLines(text) {
  return String(text).split("\n").map((line) => line.split("\t").map(printable).join("\t")).join("\n");
}

/**
 * An element. `options` may have `class`, `text`, `data`, `on`, and attributes; what follows are its children, strings as
 * text.
 */
export function h(name, options = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(options)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "class") element.className = value;
    else if (key === "text") element.textContent = printable(value);
    else if (key === "data") Object.assign(element.dataset, value);
    else if (key === "on") for (const [event, act] of Object.entries(value)) element.addEventListener(event, act);
    else element.setAttribute(key, value === true ? "" : value);
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children) {
    if (child === undefined || child === null || child === false) continue;
    if (Array.isArray(child)) append(element, child);
    else element.append(typeof child === "object" ? child : printable(child));
  }
}

/** Puts children in the place of what an element had. */
export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
}

export const byId = (id) => document.getElementById(id);

/** Text that changes only where it differs, so that nothing is laid out anew for nothing. */
export function setText(element, text) {
  const shown = printable(text);
  if (element.textContent !== shown) element.textContent = shown;
}

let toastTimer = 0;

/** Says something for a moment. */
export function say(text) {
  const toast = byId("toast");
  setText(toast, text);
  toast.classList.add("shown");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => toast.classList.remove("shown"), 2500);
}

const number = new Intl.NumberFormat("en-US");

export const count = (value) => number.format(value);
export const plural = (value, one, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;

const two = (value) => String(value).padStart(2, "0");

/** The time of day, of the reader's clock, to the millisecond. */
export function clock(ms) {
  const time = new Date(ms);
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${String(time.getMilliseconds()).padStart(3, "0")}`;
}

/** Date and time, of the reader's clock. */
export function dateTime(ms) {
  const time = new Date(ms);
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())} ${clock(ms)}`;
}

/** The time of day where it is of today, and the date with it where it is not. */
export function moment(ms) {
  return new Date(ms).toDateString() === new Date().toDateString() ? clock(ms) : dateTime(ms);
}

/** A stretch of time in words, given in milliseconds. */
export function span(ms) {
  if (ms < 1) return "<1 ms";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60000) return `${(ms / 1000).toFixed(1)} s`;
  const minutes = Math.floor(ms / 60000);
  if (minutes < 60) return `${minutes} min ${Math.round((ms % 60000) / 1000)} s`;
  return minutes < 2880 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${Math.round(minutes / 1440)} days`;
}

/** The text with its masks as short as they can be told apart by. */
export function shortMasks(text) {
  return text.replace(/<redacted(?: fp=([0-9a-f]{4})[0-9a-f]*)?(?: len[=<]\d+)?>/g, (_, start) => (start === undefined ? "<…>" : `<#${start}>`));
}

/** Gives the clipboard a text. */
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // A page that was not reached over loopback has no clipboard of that kind.
    const area = h("textarea", { class: "unseen", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (!done) return say("The browser does not let this page copy");
  }
  say(`${what} copied`);
}

/** Has the browser save a file. */
export function saveFile(name, type, parts) {
  const url = URL.createObjectURL(new Blob(parts, { type }));
  const link = h("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
