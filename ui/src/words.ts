// How things are said: sizes, times, states, codes, events.

import type { CloudEvent } from "./api/client.ts";

export function bytes(n: number): string {
  if (n < 1000) return `${n} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = n / 1000;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value >= 100 ? Math.round(value) : value.toPrecision(3).replace(/\.?0+$/, "")} ${units[unit]}`;
}

export function lasting(seconds: number): string {
  if (!Number.isFinite(seconds)) return "?";
  if (seconds < 0.95) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1).replace(".0", "")} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129_600) return `${halves(seconds / 3600)} h`;
  return `${halves(seconds / 86_400)} days`;
}

/** An hour and a half is not two. */
function halves(n: number): string {
  return n < 10 ? String(Math.round(n * 2) / 2) : String(Math.round(n));
}

export function ago(time: string | null | undefined, now: number): string {
  if (!time) return "";
  const seconds = (now - Date.parse(time)) / 1000;
  if (seconds < 5) return "just now";
  return `${lasting(seconds)} ago`;
}

/** How long ago, without saying so: "for 3 min". */
export function span(time: string, now: number): string {
  return lasting(Math.max(1, (now - Date.parse(time)) / 1000));
}

export function moment(time: string): string {
  const at = new Date(time);
  const today = new Date().toDateString() === at.toDateString();
  return at.toLocaleString(undefined, today ? { timeStyle: "medium" } : { dateStyle: "medium", timeStyle: "medium" });
}

/** Position in a film or sound. */
export function position(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return `${h ? `${h}:${String(m).padStart(2, "0")}` : m}:${String(s).padStart(2, "0")}`;
}

export function many(n: number, one: string, more = `${one}s`): string {
  return `${n.toLocaleString("en")} ${n === 1 ? one : more}`;
}

export function rate(perSecond: number): string {
  if (perSecond === 0) return "0";
  if (perSecond >= 1) return `${perSecond.toFixed(1)}/s`;
  if (perSecond * 60 >= 1) return `${(perSecond * 60).toFixed(1)}/min`;
  return `${(perSecond * 3600).toFixed(0)}/h`;
}

export type Tone = "good" | "busy" | "warn" | "bad" | "idle";

export function tone(state: string): Tone {
  if (["ready_asset", "succeeded", "working", "ready", "well", "live", "on", "delivered"].includes(state)) return "good";
  if (["running", "processing", "uploaded"].includes(state)) return "busy";
  if (["waiting", "in_review", "draining", "stopping", "retrying"].includes(state)) return "warn";
  if (["dead", "failed", "gone", "rejected", "failing"].includes(state)) return "bad";
  return "idle";
}

export const ASSET_STATES = ["uploaded", "processing", "in_review", "ready", "failed", "rejected", "deleted"];

/** Why no worker takes a ready task, and what helps. */
export function obstacle(reason: string, needs: string[] = []): string {
  switch (reason) {
    case "paused":
      return "claims of its queue are switched off";
    case "no_worker.queue":
      return "no living worker serves its queue; start one, or look why it is gone";
    case "no_worker.capability":
      return `no living worker has what it needs${needs.length ? `: ${needs.join(", ")}` : ""}`;
    case "no_worker.memory":
      return "no living worker has the memory for it";
    default:
      return reason;
  }
}

/** An event as a sentence. */
export function story(event: CloudEvent): string {
  const data = (event.data ?? {}) as Record<string, unknown>;
  const of = (name: string) => (data[name] === undefined || data[name] === null ? "" : String(data[name]));
  const failure = `${of("code")}${of("message") ? `: ${of("message")}` : ""}`;
  switch (event.type) {
    case "asset.accepted":
      return "The upload was accepted";
    case "asset.updated":
      return `What is said about it was changed${Array.isArray(data.fields) ? `: ${data.fields.join(", ")}` : ""}`;
    case "asset.reprocessing":
      return `Generation ${of("generation")} began${of("recipe") ? ` with the recipe ${of("recipe")}` : ""}`;
    case "asset.in_review":
      return "It waits for a person's decision";
    case "asset.viewable":
      return "It can be shown";
    case "asset.ready":
      return `Generation ${of("generation")} is complete and published`;
    case "asset.failed":
      return `It failed${of("step") ? ` at ${of("step")}` : ""}${failure ? `: ${failure}` : ""}`;
    case "asset.rejected":
      return "It was rejected, and what was made is gone";
    case "asset.deleted":
      return "It was deleted";
    case "task.succeeded":
      return `${of("step")} is done${Number(of("attempt")) > 1 ? `, at attempt ${of("attempt")}` : ""}`;
    case "task.skipped":
      return `${of("step")} was not needed`;
    case "task.retrying":
      return `${of("step")} failed (attempt ${of("attempt")}) and will be tried again: ${failure}`;
    case "task.dead":
      return `${of("step")} failed for good (attempt ${of("attempt")}): ${failure}`;
    case "task.cancelled":
      return `${of("step")} is not wanted any more${of("code") ? ` (${of("code")})` : ""}`;
    case "task.replayed":
      return `${of("step")} is tried again by hand`;
    case "moderation.decided":
      return `Moderation says ${of("verdict")}${of("by") ? `, decided by ${of("by") === "person" ? "a person" : `the ${of("by")}`}` : ""}${of("reason") ? `: ${of("reason")}` : ""}`;
    case "captions.given":
      return `Captions were given${of("language") ? `: ${of("language")}` : ""}`;
    case "captions.removed":
      return `Captions were taken away${of("language") ? `: ${of("language")}` : ""}`;
    case "rendition.improved":
      return `${of("profile") || "A rendition"} became smaller`;
    default:
      return event.type;
  }
}
