// An exchange for somebody else: as a command of curl, as a report for a ticket, as an HTTP Archive. Secrets stay masked.

import { dateTime, printable, printableLines } from "./dom.js";
import { signs, fingerprintIn } from "./diff.js";
import { startLine } from "./waterfall.js";
import { entries } from "./api.js";
import { state } from "./state.js";

// Shells

/** A text that a shell takes as one word; what is masked becomes a variable that is to be set. */
export function shellWord(text, variables) {
  const parts = [];
  let plain = "";
  const flush = () => {
    if (plain !== "") parts.push(quoted(plain));
    plain = "";
  };
  for (const sign of signs(text)) {
    if (!/^<redacted(?: |>)/.test(sign) || !sign.endsWith(">")) {
      plain += sign;
      continue;
    }
    flush();
    const name = `SECRET_${fingerprintIn(sign) ?? "UNKNOWN"}`;
    variables?.set(name, sign);
    parts.push(`"$${name}"`);
  }
  flush();
  return parts.join("") || "''";
}

/**
 * In quotes that every shell knows, within which nothing means anything but the quote itself. What can't be seen stands as its
 * code: it must not come into a terminal by being pasted, and the forms in which shells write it differ from shell to shell.
 */
function quoted(text) {
  return `'${printable(text).replaceAll("'", `'\\''`)}'`;
}

/** A line behind `#`. Not every shell takes that for a comment where it is typed, so it has nothing in it that means anything. */
function note(text) {
  return `# ${text.replace(/[^A-Za-z0-9 .,:_-]/g, "_")}`;
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Fields that curl makes by itself, or that would make it wait. */
const OWN = new Set(["content-length", "transfer-encoding", "connection", "expect", "keep-alive", "proxy-connection", "te", "upgrade"]);

/** A coding that curl can undo, for which it asks by itself. */
const CODING = /gzip|deflate|br|zstd/i;

/** The request of a record as a command of curl. */
export function curl(record) {
  const request = record.request;
  const variables = new Map();
  const { url, authority, scheme, socket, isWhole } = placeOf(record);
  const words = ["curl", "-i", "--globoff", "--path-as-is", "--proto", "'=http,https'"];
  if (request.method === "HEAD") words.push("--head");
  else if (request.method !== "GET" || request.body_bytes > 0) words.push("-X", shellWord(request.method, variables));
  if (request.version === "HTTP/2") words.push(scheme === "https" ? "--http2" : "--http2-prior-knowledge");
  if (socket !== null) words.push("--unix-socket", shellWord(socket));
  if (!isWhole) words.push("--request-target", shellWord(request.target, variables));
  words.push("--url", shellWord(url, variables));
  const lines = [words.join(" ")];
  const notes = [];
  let isCompressed = false;
  for (const [name, value] of request.headers) {
    const lower = name.toLowerCase();
    if (OWN.has(lower) || (lower === "host" && value === authority)) continue;
    if (lower === "accept-encoding" && CODING.test(value)) {
      isCompressed = true;
      continue;
    }
    if (!TOKEN.test(name)) {
      notes.push(note(`left out, since curl cannot send it: ${name}`));
      continue;
    }
    lines.push(`-H ${shellWord(value === "" ? `${name};` : `${name}: ${value}`, variables)}`);
  }
  // Else the answer would be packed on the screen.
  if (isCompressed) lines.push("--compressed");
  if (request.body_bytes > 0) {
    notes.push(note(`the body of ${request.body_bytes} bytes was not kept: put it into the file body`));
    lines.push("--data-binary @body");
  }
  const unset = [...variables].map(([name, mask]) => `# ${name}=…   the secret with this fingerprint${sizeOf(mask)}`);
  return `${[...unset, ...notes].map((line) => `${line}\n`).join("")}${lines.join(" \\\n  ")}\n`;
}

/**
 * Where a command goes. A target that is no path, and no URL of HTTP, is sent as it is but decides nothing: curl speaks more
 * protocols than that, and a client chose it.
 */
function placeOf(record) {
  const { authority: asked, target } = record.request;
  const tap = state.about?.taps.find(({ name }) => name === record.tap);
  const scheme = record.client.tls === null ? "http" : "https";
  const socket = tap?.socket ?? null;
  // A socket has no host, and a request of HTTP/1.0 may name none.
  const authority = asked || hostIn(record.upstream.url) || hostIn(tap?.url ?? "") || "localhost";
  if (/^https?:\/\//i.test(target)) return { url: target, authority, scheme, socket, isWhole: true };
  const isWhole = target.startsWith("/");
  return { url: `${scheme}://${authority}${isWhole ? target : "/"}`, authority, scheme, socket, isWhole };
}

/** The host and port of a URL; nothing where it is that of a socket. */
function hostIn(url) {
  return /^(?:https?|h2c):\/\/(?!unix:)([^/]+)/.exec(url)?.[1] ?? "";
}

function sizeOf(mask) {
  const size = /len([=<])(\d+)/.exec(mask);
  if (size === null) return "";
  return size[1] === "=" ? `, ${size[2]} bytes` : `, less than ${size[2]} bytes`;
}

// Markdown

/** A text in which nothing is a mark, a link, a name that is called, or the end of a line. */
export function plainMarkdown(text) {
  return printable(text)
    .replace(/[\\`*_{}[\]<>#|~&]/g, "\\$&")
    .replace(/^(\s*)([-+=]|\d+(?=[.)]))/, "$1\u200b$2")
    .replaceAll("://", ":\\/\\/")
    .replace(/www\./gi, "$&\u200b")
    .replaceAll("@", "@\u200b");
}

/** How many backticks stand together at most. */
function longestRun(text) {
  let longest = 0;
  for (const run of text.matchAll(/`+/g)) longest = Math.max(longest, run[0].length);
  return longest;
}

/** A text as a block of code that nothing in it ends. */
export function fenced(text, language = "text") {
  const fence = "`".repeat(Math.max(2, longestRun(text)) + 1);
  return `${fence}${language}\n${text.replace(/\n+$/, "")}\n${fence}`;
}

/** Sentences of the program's own, with what they have in backticks as code. */
function sentences(text) {
  return text.split("`").map((part, at) => (at % 2 === 1 ? fencedInline(part) : plainMarkdown(part))).join("");
}

function fencedInline(text) {
  const fence = "`".repeat(longestRun(text) + 1);
  return `${fence}${printable(text)}${fence}`;
}

function head(record, side) {
  const lines = record[side].headers.map(([name, value]) => `${printable(name)}: ${printable(value)}`);
  return [printable(startLine(record, side)), ...lines].join("\n");
}

/** A report of a request, of which `records` are what its taps saw, the outermost first. */
export function report(records, findings) {
  const first = records[0];
  const status = first.response?.status ?? "no answer";
  const main = findings[0];
  const parts = [
    `## ${plainMarkdown(`${status} ${first.request.method} ${first.request.target}`)}`,
    main === undefined ? "Nothing was found that is wrong." : `**${plainMarkdown(main.rule)}** (${main.severity}): ${sentences(main.summary)}`,
    `Seen at ${plainMarkdown(first.time)} by ${records.map((record) => `tap ${plainMarkdown(record.tap)}`).join(", ")}; upstream ${plainMarkdown(first.upstream.url)}; exchange ${plainMarkdown(first.id)}`,
  ];
  for (const finding of findings) {
    parts.push(`### ${plainMarkdown(finding.rule)}`, sentences(finding.summary));
    if (finding.evidence.length > 0) parts.push("Evidence:", fenced(finding.evidence.map(printable).join("\n")));
    parts.push(`**Fix.** ${sentences(finding.fix)}`);
    const spec = finding.spec ? `; written in ${plainMarkdown(finding.spec)}` : "";
    parts.push(`**Sure.** ${finding.certainty}; to be fixed at: ${plainMarkdown(finding.at)}${spec}`);
  }
  for (const record of records) {
    parts.push(`### What ${plainMarkdown(record.tap)} saw`, fenced(head(record, "request"), "http"));
    if (record.response) parts.push(fenced(head(record, "response"), "http"));
    else parts.push(`There was no answer (${plainMarkdown(record.outcome)}).`);
    const body = record.response?.error_body?.text;
    if (body) parts.push("The answer's text:", fenced(printableLines(body)));
  }
  parts.push(`Made by authtap ${plainMarkdown(state.about?.version ?? "")}; ${state.showsSecrets ? "SECRETS ARE IN THE CLEAR" : "secrets are masked: equal fingerprints are equal secrets"}.`);
  return `${parts.join("\n\n")}\n`;
}

// HAR

/** The parts of an HTTP Archive with these exchanges. */
export async function archive(numbers) {
  const { opening, between, closing } = state.about.archive;
  const all = await entries(numbers);
  const parts = [opening];
  all.forEach((entry, at) => parts.push(at === 0 ? "\n" : between, entry));
  parts.push(closing);
  return { parts, size: all.length };
}

/** A name for a file made now. */
export function fileName(what) {
  return `authtap-${what}-${dateTime(Date.now()).slice(0, 19).replace(/[ :]/g, "-")}.har`;
}
