import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import type { Delivery, Webhook } from "../src/api/client.ts";
import { answered, behind, chosen, counted, due, FAMILIES, place, standing, toggled, TYPES, typesSaid } from "../src/webhooks.ts";

test("the types that can be chosen are those that the documentation lists", () => {
  const page = readFileSync("../docs/reference/events.md", "utf8");
  assert.deepEqual([...TYPES].sort(), [...page.matchAll(/^\| `([a-z_.]+)` \|/gm)].map((found) => found[1]!).sort());
  assert.deepEqual(FAMILIES.flatMap((family) => family.types).sort(), [...TYPES].sort());
});

test("types are pressed one by one, and a pattern stands for all that begin alike", () => {
  assert.deepEqual(toggled([], "asset.ready"), ["asset.ready"]);
  assert.deepEqual(toggled(["asset.ready", "task.dead"], "asset.ready"), ["task.dead"]);
  assert.deepEqual(toggled(["asset.ready", "task.dead"], "asset.*"), ["task.dead", "asset.*"]);
  assert.deepEqual(toggled(["task.dead", "asset.*"], "asset.*"), ["task.dead"]);
  assert.ok(chosen(["asset.*"], "asset.failed") && !chosen(["asset.*"], "task.dead"));
});

test("without one of its types a pattern becomes the others", () => {
  assert.deepEqual(toggled(["task.dead", "captions.*"], "captions.given"), ["task.dead", "captions.removed"]);
});

test("what a newer server knows is not lost by pressing something else", () => {
  assert.deepEqual(toggled(["tenant.grown"], "asset.ready"), ["tenant.grown", "asset.ready"]);
  assert.deepEqual(toggled(["tenant.*", "task.*"], "task.*"), ["tenant.*"]);
});

test("how a webhook stands and what it wants is one word each", () => {
  const hook = (over: object) => ({ state: "on", types: [], ...over }) as unknown as Webhook;
  assert.deepEqual([hook({}), hook({ failing_since: "2026-01-01T00:00:00Z" }), hook({ state: "off", failing_since: "2026-01-01T00:00:00Z" })].map(standing), ["on", "failing", "off"]);
  assert.deepEqual([typesSaid([]), typesSaid(["asset.*", "task.dead"])], ["every event", "asset.*, task.dead"]);
  assert.deepEqual([behind(hook({ waiting: 1, failed: 0 })), behind(hook({ waiting: 10_000, failed: 0 })), behind(hook({ waiting: 0, failed: 2 }))], ["1 event waits for it, and is tried again by itself", "10,000 or more events wait for it, and are tried again by themselves", "2 deliveries failed for good, and nothing is tried again by itself"]);
});

test("what waits is tried in a while, now, or when the webhook is on", () => {
  const now = Date.parse("2026-01-01T00:00:00Z");
  const said = (state: string, next_at: string | null) => due({ state } as Webhook, { next_at } as Delivery, now);
  assert.deepEqual([said("on", "2026-01-01T00:30:00Z"), said("on", "2025-12-31T23:59:59Z"), said("on", null), said("off", "2026-01-01T00:30:00Z")], ["next try in 30 min", "tried now", "tried now", "waits until the webhook is on"]);
});

test("answers are told with their time, and hosts for addresses", () => {
  assert.equal(answered({ status: 204, ms: 34 }), "it answered 204, after 34 ms");
  assert.equal(answered({ status: 500, ms: null }), "it answered 500");
  assert.equal(answered({ status: null, ms: 10_000, error: "it took longer than 10 s" }), "no answer: it took longer than 10 s, after 10 s");
  assert.equal(answered({}), "no answer");
  assert.deepEqual(["https://shop.example:8443/in?x=1", "no address"].map(place), ["shop.example:8443", "no address"]);
  assert.deepEqual([0, 9999, 10_000].map(counted), ["0", "9,999", "10,000 or more"]);
});
