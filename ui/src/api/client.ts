// The public API, typed by its own description. Knows no screen.

import { heard, unheard } from "../live/connection.svelte.ts";
import type { components, paths } from "./schema";

type Schemas = components["schemas"];
export type Asset = Schemas["Asset"];
export type AssetItem = Schemas["AssetItem"];
export type AssetList = Schemas["AssetList"];
export type Task = Schemas["Task"];
export type TaskDetail = Schemas["TaskDetail"];
export type TaskList = Schemas["TaskList"];
export type Queue = Schemas["Queue"];
export type Worker = Schemas["Worker"];
export type CloudEvent = Schemas["CloudEvent"];
export type Failure = Schemas["Failure"];
export type Graph = Schemas["RecipeGraph"];
export type Step = Schemas["Step"];
export type Session = Schemas["Session"];
export type Switch = Schemas["Switch"];
export type Change = Schemas["ChangeView"];
export type Arrival = Schemas["Arrival"];
export type Minute = Schemas["QueueMinute"];
export type Readiness = Schemas["Readiness"];
export type Rendition = Schemas["Rendition"];
export type Key = Schemas["Key"];
export type KeyLimits = Schemas["KeyLimits"];
export type Held = Schemas["Held"];
export type Amount = Schemas["Amount"];
export type Setting = Schemas["EffectiveSetting"];
export type Outlet = Schemas["Outlet"];
export type Tenant = Schemas["Tenant"];
export type Webhook = Schemas["Webhook"];
export type Delivery = Schemas["Delivery"];
export type WebhookTest = Schemas["WebhookTest"];

type Method = "get" | "post" | "put" | "patch" | "delete";
type Having<M extends Method> = { [P in keyof paths]: paths[P] extends { [K in M]: unknown } ? (paths[P][M] extends undefined ? never : P) : never }[keyof paths];
type Json<T> = T extends { content: { "application/json": infer J } } ? J : never;
type Answer<P extends keyof paths, M extends Method> = paths[P] extends { [K in M]: { responses: infer R } } ? Json<R[keyof R & (200 | 201 | 202)]> : never;

export interface Asked {
  path?: Record<string, string>;
  query?: Record<string, string | number | undefined | null>;
  body?: unknown;
  signal?: AbortSignal;
}

/** What the server answered that is not what was asked for. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly correlation: string,
  ) {
    super(message);
  }
}

/** The server did not answer. */
export class Unreachable extends Error {}

/** Who is told when the server does not know the key any more. */
export const unknown = { told: (): void => undefined };

/** Whoever has not begun to answer a question by then does not answer: a server that hangs keeps its connections open. */
export const PATIENCE_MS = 10_000;

export function address(path: string, asked: Asked = {}): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(asked.path?.[name] ?? ""));
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(asked.query ?? {})) if (value !== undefined && value !== null && value !== "") query.set(name, String(value));
  const text = query.toString();
  return text ? `${filled}?${text}` : filled;
}

async function call(method: Method, path: string, asked: Asked): Promise<unknown> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (asked.body !== undefined) headers["Content-Type"] = "application/json";
  let response: Response;
  const patience = new AbortController();
  // What is done takes its time.
  const timer = method === "get" ? setTimeout(() => patience.abort(), PATIENCE_MS) : undefined;
  try {
    response = await fetch(address(path, asked), {
      method: method.toUpperCase(),
      headers,
      body: asked.body === undefined ? undefined : JSON.stringify(asked.body),
      signal: asked.signal ? AbortSignal.any([asked.signal, patience.signal]) : patience.signal,
      keepalive: method !== "get",
    });
  } catch (error) {
    if (asked.signal?.aborted) throw error;
    unheard();
    throw new Unreachable("the server does not answer");
  } finally {
    clearTimeout(timer);
  }
  // Proxies answer for servers that are not there.
  if ([502, 504].includes(response.status)) {
    unheard();
    throw new Unreachable("the server does not answer");
  }
  heard();
  if (response.status === 204) return undefined;
  const json = await response.json().catch(() => undefined);
  if (response.ok || (path === "/readyz" && json)) return json;
  if (response.status === 401 && path !== "/v1/session") unknown.told();
  throw new Refused(response.status, json?.code ?? "unknown", json?.detail ?? response.statusText, json?.correlation_id ?? "");
}

export const get = <P extends Having<"get">>(path: P, asked: Asked = {}) => call("get", path as string, asked) as Promise<Answer<P, "get">>;
export const post = <P extends Having<"post">>(path: P, asked: Asked = {}) => call("post", path as string, asked) as Promise<Answer<P, "post">>;
export const put = <P extends Having<"put">>(path: P, asked: Asked = {}) => call("put", path as string, asked) as Promise<Answer<P, "put">>;
export const patch = <P extends Having<"patch">>(path: P, asked: Asked = {}) => call("patch", path as string, asked) as Promise<Answer<P, "patch">>;
export const remove = <P extends Having<"delete">>(path: P, asked: Asked = {}) => call("delete", path as string, asked) as Promise<void>;

/** Where this server itself serves what may stand at a CDN: pages load nothing from other hosts. */
export function own(url: string): string {
  const at = url.indexOf("/media/");
  return at < 0 ? url : url.slice(at);
}
