// Webhooks in words: which events one wants, how it stands, what its receiver answered. Pure.

import type { Delivery, Webhook } from "./api/client.ts";
import { lasting } from "./words.ts";

/** Every type that an event can have, as docs/reference/events.md lists them; a test compares. */
export const TYPES = [
  "asset.accepted", "asset.updated", "asset.reprocessing", "asset.in_review", "asset.viewable", "asset.ready", "asset.failed", "asset.rejected", "asset.deleted",
  "task.succeeded", "task.skipped", "task.retrying", "task.dead", "task.cancelled", "task.replayed",
  "moderation.decided", "captions.given", "captions.removed", "rendition.improved",
];

/** `asset.*`: what begins alike, also what later releases add to it. */
export const pattern = (type: string) => `${type.split(".")[0]}.*`;

/** Types by what they begin with. */
export const FAMILIES = [...new Set(TYPES.map(pattern))].map((all) => ({ all, types: TYPES.filter((type) => pattern(type) === all) }));

/** Whether a choice has this type, by itself or by its pattern. */
export function chosen(types: string[], type: string): boolean {
  return types.includes(type) || types.includes(pattern(type));
}

/** The choice after a type or a pattern was pressed. */
export function toggled(types: string[], one: string): string[] {
  const [all, family] = [pattern(one), TYPES.filter((type) => pattern(type) === pattern(one))];
  const others = types.filter((type) => pattern(type) !== all);
  if (one === all) return types.includes(all) ? others : [...others, all];
  // Without one of them the pattern is the rest of what it stood for.
  if (types.includes(all)) return [...others, ...family.filter((type) => type !== one)];
  return types.includes(one) ? types.filter((type) => type !== one) : [...types, one];
}

export const typesSaid = (types: string[]) => (types.length ? types.join(", ") : "every event");

/** One word for how it stands. */
export function standing(webhook: Webhook): "on" | "failing" | "off" {
  return webhook.state === "off" ? "off" : webhook.failing_since ? "failing" : "on";
}

/** Why it is off. */
export function offSaid(because: string | null | undefined): string {
  switch (because) {
    case "gone":
      return "The receiver answered 410 Gone: it wants nothing any more, so it was switched off by itself.";
    case "failing":
      return "Nothing but failures for five days, so it was switched off by itself.";
    default:
      return "Somebody switched it off.";
  }
}

/** A count, which the server ends at a number. */
export const COUNTED_MAX = 10_000;
export function counted(n: number): string {
  return n >= COUNTED_MAX ? `${COUNTED_MAX.toLocaleString("en")} or more` : n.toLocaleString("en");
}

export interface Answer { status?: number | null; ms?: number | null; error?: string | null }

/** What came of one try. */
export function answered({ status, ms, error }: Answer): string {
  const said = status != null ? `it answered ${status}` : `no answer${error ? `: ${error}` : ""}`;
  return ms == null ? said : `${said}, after ${lasting(ms / 1000)}`;
}

/** When what waits is tried. */
export function due(webhook: Webhook, { next_at }: Delivery, now: number): string {
  if (webhook.state === "off") return "waits until the webhook is on";
  const seconds = next_at ? (Date.parse(next_at) - now) / 1000 : 0;
  return seconds > 0 ? `next try in ${lasting(seconds)}` : "tried now";
}

/** Where it is sent to, short: hosts are what people know them by. */
export function place(url: string): string {
  try {
    return new URL(url).host;
  } catch {
    return url;
  }
}

/** What waits behind a receiver that fails, for people who look for what is wrong. */
export function behind(webhook: Webhook): string {
  if (webhook.waiting) return `${counted(webhook.waiting)} ${webhook.waiting === 1 ? "event waits for it, and is" : "events wait for it, and are"} tried again by ${webhook.waiting === 1 ? "itself" : "themselves"}`;
  return `${counted(webhook.failed)} ${webhook.failed === 1 ? "delivery" : "deliveries"} failed for good, and nothing is tried again by itself`;
}
