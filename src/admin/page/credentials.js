// Secrets as fingerprints: equal ones look equal, and choosing one highlights all its uses.

import { byId, fill, h, moment, plural, printable } from "./dom.js";
import { fingerprintIn, signs } from "./diff.js";
import { changed, state, store } from "./state.js";

/** The colour of a fingerprint; the text beside it says the same. */
export function hueOf(fingerprint) {
  return Number.parseInt(fingerprint.slice(0, 6), 16) % 360;
}

/** Highlights all uses of a secret, or none. */
export function choose(fingerprint) {
  state.credential = state.credential === fingerprint ? undefined : fingerprint;
  for (const chip of document.querySelectorAll(".chip[data-fingerprint]")) mark(chip);
  showUses();
  changed();
}

function mark(chip) {
  const is = chip.dataset.fingerprint === state.credential;
  chip.classList.toggle("chosen", is);
  chip.setAttribute("aria-pressed", String(is));
}

/** A button that stands for a secret. */
export function chip(fingerprint, label) {
  const button = h("button", {
    type: "button",
    class: "chip",
    text: label,
    title: `Fingerprint ${fingerprint}: highlight all uses of this secret`,
    data: { fingerprint },
    on: {
      click: (event) => {
        event.stopPropagation();
        choose(fingerprint);
      },
    },
  });
  button.style.setProperty("--hue", hueOf(fingerprint));
  mark(button);
  return button;
}

/** What the secrets of a record are called, by fingerprint. */
export function labels(record) {
  const all = new Map();
  for (const sent of record.request.credentials ?? []) {
    if (sent.fingerprint) all.set(sent.fingerprint, `${kindOf(sent)}#${sent.fingerprint.slice(0, 4)}`);
  }
  return all;
}

function kindOf(sent) {
  if (sent.jwt) return "jwt";
  if (sent.scheme === "basic") return "password";
  if (sent.scheme === "digest") return "digest";
  return sent.scheme ? "token" : "key";
}

/** Text with chips in the place of masks. */
export function withChips(text, names) {
  const children = [];
  let plain = "";
  for (const sign of signs(text)) {
    const fingerprint = sign.startsWith("<redacted") ? fingerprintIn(sign) : undefined;
    if (fingerprint === undefined) {
      plain += sign;
      continue;
    }
    if (plain !== "") children.push(printable(plain));
    plain = "";
    const length = /len([=<])(\d+)/.exec(sign);
    const size = length === null ? "" : length[1] === "=" ? `, ${length[2]} bytes` : `, less than ${length[2]} bytes`;
    children.push(chip(fingerprint, `${names.get(fingerprint) ?? `#${fingerprint.slice(0, 4)}`}${size}`));
  }
  if (plain !== "") children.push(printable(plain));
  return children;
}

/** Says in words how a secret fared. */
export function fared(use) {
  if (use.all === 0) return "not used by any exchange that is listed here";
  if (use.failed === 0) return `used ${plural(use.all, "time")}, never refused`;
  const first = `first refused at ${moment(use.firstFailed.time)}`;
  if (use.failed === use.all) return `used ${plural(use.all, "time")}, refused each time, ${first}`;
  return `used ${plural(use.all, "time")}, refused ${plural(use.failed, "time")}, ${first}`;
}

let shownFor = "";
let due = 0;

/** The line that tells of the chosen secret. */
export function showUses() {
  const line = byId("used");
  const fingerprint = state.credential;
  if (fingerprint === undefined) {
    line.hidden = true;
    shownFor = "";
    return;
  }
  const key = `${fingerprint} ${store.version}`;
  const isOther = !shownFor.startsWith(`${fingerprint} `);
  if (key === shownFor || (!isOther && Date.now() < due)) return;
  shownFor = key;
  due = Date.now() + 1000;
  const use = store.uses(fingerprint);
  const name = h("span", { class: "chip chosen", text: use.label || `#${fingerprint.slice(0, 4)}` });
  name.style.setProperty("--hue", hueOf(fingerprint));
  fill(
    line,
    name,
    h("span", { text: ` ${fared(use)}` }),
    h("a", { href: `#/exchanges?q=credential:${fingerprint}`, text: "Only these" }),
    h("a", { href: "#/timeline?by=credential", text: "Over time" }),
    h("button", { type: "button", class: "quiet", text: "Clear", on: { click: () => choose(fingerprint) } }),
  );
  line.hidden = false;
}
