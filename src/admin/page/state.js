// What the parts of the page share.

import { Store } from "./store.js";

export const store = new Store();

export const state = {
  /** `exchanges`, `summary` or `timeline`. */
  view: "exchanges",
  /** The filter, as typed. */
  query: "",
  /** The row of the request that is open. */
  open: undefined,
  /** The id of an exchange that is to be opened as soon as it is there. */
  wanted: undefined,
  /** The row that the keys are at. */
  cursor: undefined,
  /** The fingerprint whose uses are highlighted. */
  credential: undefined,
  /** What the timeline is by: `credential`, `route` or `client`. */
  by: "credential",
  paused: false,
  /** What the program said of itself. */
  about: undefined,
  /** Whether secrets are in the clear in what the program tells, as it said last. */
  showsSecrets: undefined,
  /** The rules by name. */
  rules: new Map(),
  /** What the program holds, as it said last. */
  held: { dropped: 0, unseen: 0, bytes: 0 },
  isLive: false,
};

const listeners = [];

/** Has a part hear that something changed, at most once for each picture that is drawn. */
export function onChange(listener) {
  listeners.push(listener);
}

let isDue = false;

/** Says that something changed. */
export function changed() {
  if (isDue) return;
  isDue = true;
  const draw = () => {
    if (!isDue) return;
    isDue = false;
    for (const listener of listeners) listener();
  };
  // A page that nobody sees draws no pictures.
  if (document.hidden) setTimeout(draw, 500);
  else requestAnimationFrame(draw);
}
