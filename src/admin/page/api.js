// Asking the program. The token comes behind the `#` of the printed link, goes into this tab's own storage, and from there
// into a field of each request: never into an address, never into a cookie.

const KEY = "authtap-token";

/** Takes the token out of the address, and gives the rest of what stood behind `#`. */
export function takeToken(hash) {
  const rest = hash.replace(/^#/, "");
  const found = /(?:^|[/?&])token=([A-Za-z0-9_-]+)/.exec(rest);
  if (found === null) return undefined;
  setToken(found[1]);
  return rest.replace(found[0], "").replace(/^&/, "?");
}

export function setToken(token) {
  sessionStorage.setItem(KEY, token);
}

/** The token was missing, or is not that of this run. */
export class Locked extends Error {}

async function ask(path) {
  const token = sessionStorage.getItem(KEY);
  if (token === null) throw new Locked("no token");
  const answer = await fetch(`/api/${path}`, {
    headers: { Authorization: `Bearer ${token}` },
    cache: "no-store",
    credentials: "omit",
    redirect: "error",
  });
  if (answer.status === 401) throw new Locked("a wrong token");
  if (!answer.ok) throw new Error(`authtap answered ${answer.status}`);
  return answer;
}

export const about = async () => (await ask("about")).json();
export const rules = async () => (await ask("rules")).json();

/** The rows behind a number, for which it waits so many seconds, but not where secrets are not shown as the page knows it. */
export const rows = async (after, wait, secrets) =>
  (await ask(`rows?after=${after}&wait=${wait}${secrets === undefined ? "" : `&secrets=${secrets}`}`)).json();

/** Numbers in the form in which they are asked for, in parts that fit into one request: stretches, and how many they are. */
function stretches(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const all = [];
  for (const number of sorted) {
    const last = all[all.length - 1];
    if (last !== undefined && number === last[1] + 1) last[1] = number;
    else if (last === undefined || number > last[1]) all.push([number, number]);
  }
  return all;
}

/** Asks for records or entries until all are there. */
async function* lines(what, numbers) {
  let left = stretches(numbers);
  while (left.length > 0) {
    const asked = left.slice(0, 400);
    const answer = await (await ask(`${what}?in=${asked.map(([first, last]) => `${first}-${last}`).join(",")}`)).text();
    const [head, ...found] = answer.split("\n").filter((line) => line !== "");
    yield found;
    // Where nothing is there any more, all that was asked for has been looked at.
    const done = found.length === 0 ? asked[asked.length - 1][1] : JSON.parse(head).until;
    left = left.filter(([, last]) => last > done).map(([first, last]) => [Math.max(first, done + 1), last]);
  }
}

/** The records of these numbers, as far as the program still has them. */
export async function records(numbers) {
  const all = new Map();
  for await (const found of lines("records", numbers)) {
    for (const line of found) {
      const { number, record } = JSON.parse(line);
      all.set(number, record);
    }
  }
  return all;
}

/** The entries of an HTTP Archive for these numbers, as text. */
export async function entries(numbers) {
  const all = [];
  for await (const found of lines("entries", numbers)) all.push(...found);
  return all;
}
