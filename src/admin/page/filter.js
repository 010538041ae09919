// The filter: words that all have to hold, as `--filter` has them; `-` before one turns it round.

/** Reads an expression. Words without a name are looked for in what the list shows. */
export function parse(text) {
  const words = text.trim().split(/\s+/).filter(Boolean);
  return words.map((word) => {
    const turned = word.length > 1 && word.startsWith("-");
    return { turned, test: test(turned ? word.slice(1) : word) };
  });
}

function test(word) {
  const at = word.indexOf(":");
  const [name, value] = at > 0 ? [word.slice(0, at).toLowerCase(), word.slice(at + 1)] : ["", word];
  const lower = value.toLowerCase();
  if (value !== "") {
    switch (name) {
      case "status":
        if (lower === "none") return (row) => row.status === 0;
        if (/^[1-9]xx$/.test(lower)) return (row) => Math.floor(row.status / 100) === Number(lower[0]);
        return (row) => String(row.status) === value;
      case "rule":
        return (row) => row.rules.includes(lower) || row.verdict === lower;
      case "is":
        if (lower === "ok") return (row) => row.severity === "" || row.severity === "info";
        if (lower === "failed") return (row) => row.failed;
        return (row) => row.severity === lower;
      case "method":
        return (row) => row.method.toLowerCase() === lower;
      case "path":
        return (row) => row.target.startsWith(value);
      case "route":
        return (row) => row.route === value;
      case "client":
        return (row) => row.client === value.replace(/^\[|\]$/g, "");
      case "tap":
        return (row) => row.tap.toLowerCase() === lower;
      case "credential":
        return (row) => row.credentials.some(([, fingerprint]) => fingerprint.startsWith(lower));
    }
  }
  const plain = word.toLowerCase();
  return (row) => row.text.includes(plain);
}

/** Whether a request is listed, of which several taps may have told: one of them is enough for each word. */
export function holds(words, row) {
  for (const { turned, test } of words) {
    const found = test(row) || (row.inner !== null && row.inner.some(test));
    if (found === turned) return false;
  }
  return true;
}

/** The value of the first word of that name that is not turned round. */
export function valueOf(text, name) {
  const word = text.trim().split(/\s+/).find((word) => word.startsWith(`${name}:`));
  return word === undefined ? "" : word.slice(name.length + 1);
}

/** The expression with the word of that name replaced, or taken out where there is no value. */
export function withValue(text, name, value) {
  const words = text.trim().split(/\s+/).filter((word) => word !== "" && !word.startsWith(`${name}:`));
  if (value !== "") words.push(`${name}:${value}`);
  return words.join(" ");
}
