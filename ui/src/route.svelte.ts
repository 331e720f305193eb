// Where we are: `#/assets?state=failed`. The server sees none of it.

export const route = $state({ path: "/", query: new URLSearchParams() });

function read(): void {
  const [path = "/", query = ""] = location.hash.slice(1).split("?");
  route.path = path || "/";
  route.query = new URLSearchParams(query);
}

read();
addEventListener("hashchange", read);

export function go(path: string): void {
  location.hash = path;
}

/** Changes what stands behind the question mark without a step back in the history. */
export function refine(changes: Record<string, string>): void {
  const query = new URLSearchParams(route.query);
  for (const [name, value] of Object.entries(changes)) value ? query.set(name, value) : query.delete(name);
  const text = query.toString();
  history.replaceState(null, "", `#${route.path}${text ? `?${text}` : ""}`);
  route.query = query;
}

/** `g` was pressed, and the next key says where to go. */
export const leap = { begun: false };
