// What differs between heads that several taps saw of one request.

const MASK = /<redacted(?: fp=[0-9a-f]+)?(?: len[=<]\d+)?>/g;

/** A value as signs, and masks as one sign each. */
export function signs(text) {
  const all = [];
  let from = 0;
  for (const mask of text.matchAll(MASK)) {
    for (const sign of text.slice(from, mask.index)) all.push(sign);
    all.push(mask[0]);
    from = mask.index + mask[0].length;
  }
  for (const sign of text.slice(from)) all.push(sign);
  return all;
}

/** The fingerprint in a mask. */
export function fingerprintIn(mask) {
  return /^<redacted fp=([0-9a-f]+)/.exec(mask)?.[1];
}

/** Parts of `own`, each with whether it differs from `other`. Where the length is the same, each sign is compared with its like. */
export function marked(own, other) {
  const [a, b] = [signs(own), signs(other)];
  let differs;
  if (a.length === b.length) {
    differs = (at) => a[at] !== b[at];
  } else {
    let start = 0;
    while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
    let end = 0;
    while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
    differs = (at) => at >= start && at < a.length - end;
  }
  const parts = [];
  a.forEach((sign, at) => {
    const last = parts[parts.length - 1];
    const is = differs(at);
    if (last !== undefined && last.differs === is) last.text += sign;
    else parts.push({ text: sign, differs: is });
  });
  return parts;
}

/** All of a text as one part. */
export const whole = (text, differs) => (text === "" ? [] : [{ text, differs }]);

/**
 * Brings the field lines of several heads together: rows with a cell for each head, or null where it has no such line. The
 * n-th line of a name stands beside the n-th line of that name, whatever its case.
 */
export function align(heads) {
  const order = [];
  const cells = new Map();
  heads.forEach((lines, column) => {
    const counts = new Map();
    let place = 0;
    for (const [name, value] of lines) {
      const lower = name.toLowerCase();
      const number = counts.get(lower) ?? 0;
      counts.set(lower, number + 1);
      const key = `${lower}\n${number}`;
      if (!cells.has(key)) {
        cells.set(key, heads.map(() => null));
        order.splice(place, 0, key);
      }
      cells.get(key)[column] = { name, value };
      place = order.indexOf(key) + 1;
    }
  });
  return order.map((key) => {
    const row = cells.get(key);
    const first = row[0];
    const same = row.every((cell) => cell !== null && first !== null && cell.name === first.name && cell.value === first.value);
    return { cells: row, same };
  });
}

/** The parts of a cell, held against the head before it, or for the first one against the one behind it. */
export function cellParts(cells, column) {
  const own = cells[column];
  if (cells.length === 1) return { name: whole(own.name, false), value: whole(own.value, false) };
  const other = cells[column === 0 ? 1 : column - 1];
  if (other === null) return { name: whole(own.name, true), value: whole(own.value, true) };
  return { name: marked(own.name, other.name), value: marked(own.value, other.value) };
}
