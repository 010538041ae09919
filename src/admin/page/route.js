// Routes: a method and a path in which what differs from call to call is left out.

const known = new Map();
const MOST = 20000;

/** Paths up to this length are remembered. */
const SHORT = 200;

/** The path of a target, without its query. */
export function pathOf(target) {
  const at = target.search(/[?#]/);
  return at < 0 ? target : target.slice(0, at);
}

function isId(segment) {
  return (
    /^\d+$/.test(segment) ||
    segment.includes("<redacted") ||
    /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(segment) ||
    /^(?=.*\d)[0-9a-f]{12,}$/i.test(segment) ||
    /^(?=.*\d)[0-9A-Z]{26}$/.test(segment) ||
    (segment.length >= 20 && /\d/.test(segment) && /^[A-Za-z0-9_-]+$/.test(segment) && !/[a-z]{6}/.test(segment))
  );
}

/** Forgets the paths that were asked for. */
export const forgetRoutes = () => known.clear();

/** `/v1/orders/{id}` for `/v1/orders/17?page=2`. */
export function routeOf(target) {
  const path = pathOf(target);
  const found = known.get(path);
  if (found !== undefined) return found;
  // A mask may have spaces in it, and stands for a whole segment.
  const route = path.split("/").map((segment) => (isId(segment) ? "{id}" : segment)).join("/").replaceAll(" ", "%20");
  if (known.size >= MOST) known.clear();
  if (path.length <= SHORT) known.set(path, route);
  return route;
}
