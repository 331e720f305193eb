import assert from "node:assert/strict";
import test from "node:test";
import type { Failure, Queue, Switch, Worker } from "../src/api/client.ts";
import { type Known, troubles } from "../src/problems.ts";

const now = Date.now();
const queue = (over: Partial<Queue>) => ({ queue: "image", ready: 0, running: 0, waiting: 0, dead: 0, oldest_ready_seconds: 0, arrivals_per_second: 0, completions_per_second: 0, workers: 1, slots: 2, drain_seconds: 0, paused: false, unplaceable: [], ...over }) as unknown as Queue;
const worker = (over: Partial<Worker>) => ({ id: "w", name: "farm:1", state: "working", tasks: [], seen_at: new Date(now).toISOString(), ...over }) as unknown as Worker;
const failure = (over: Partial<Failure>) => ({ state: "dead", code: "timeout", operation: "image.resize", tasks: 2, oldest_at: "2026-01-01T00:00:00Z", ...over }) as unknown as Failure;
const told = (known: Partial<Known>) => troubles({ now, ...known });
const whats = (known: Partial<Known>) => told(known).map((trouble) => trouble.what);

test("where all is well nothing is told", () => {
  assert.deepEqual(told({}), []);
  const fine = { queues: [queue({ ready: 5, oldest_ready_seconds: 10 })], workers: [worker({})], failures: [], switches: [{ name: "uploads", on: true } as Switch] };
  assert.deepEqual(told(fine), []);
});

test("a switch that is off is bad only where something waits for it, uploads always", () => {
  const off = (name: string, ready: number) => told({ switches: [{ name, on: false } as Switch], queues: [queue({ ready, oldest_ready_seconds: 60, paused: true })] })[0]!;
  assert.equal(off("claims.image", 0).bad, false);
  assert.equal(off("claims.image", 3).bad, true);
  assert.match(off("claims.image", 1).what, /^1 image task waits: claims are switched off$/);
  assert.equal(off("uploads", 0).bad, true);
  assert.deepEqual(off("uploads", 0).remedies[0]!.act, { kind: "switch", name: "uploads" });
});

test("what no worker can take says why, and is not also called behind", () => {
  const stuck = queue({ ready: 4, oldest_ready_seconds: 999, unplaceable: [{ reason: "no_worker.capability", needs: ["av1"], tasks: 4 }] as never });
  const found = told({ queues: [stuck] });
  assert.equal(found.length, 1);
  assert.match(found[0]!.why, /av1/);
});

test("a queue is behind after two minutes, and badly after half an hour", () => {
  assert.deepEqual(whats({ queues: [queue({ ready: 9, oldest_ready_seconds: 119 })] }), []);
  const behind = told({ queues: [queue({ ready: 9, oldest_ready_seconds: 121, arrivals_per_second: 1, completions_per_second: 3, drain_seconds: 300 })] })[0]!;
  assert.equal(behind.bad, false);
  assert.match(behind.why, /empty in about 5 min/);
  assert.equal(told({ queues: [queue({ ready: 9, oldest_ready_seconds: 1801 })] })[0]!.bad, true);
});

test("workers that are gone matter with tasks, and that all drain matters", () => {
  assert.deepEqual(whats({ workers: [worker({}), worker({ id: "g", state: "gone" })] }), []);
  const task = { id: "t", asset: "a", operation: "video.encode", started_at: new Date(now - 3_700_000).toISOString() };
  const [gone] = told({ workers: [worker({}), worker({ id: "g", state: "gone", tasks: [task] as never })] });
  assert.match(gone!.what, /is gone with 1 task/);
  assert.deepEqual([gone!.bad, /nothing has to be pressed/.test(gone!.why)], [false, true]);
  const [last] = told({ workers: [worker({ state: "gone", name: "farm:0", seen_at: "2026-01-01T00:00:00Z" }), worker({ state: "gone" })] });
  assert.deepEqual([last!.what, last!.bad, last!.since], ["No worker lives", true, new Date(now).toISOString()]);
  assert.match(last!.why, /nothing was heard of farm:1 since.* Start one/);
  assert.match(whats({ workers: [worker({ tasks: [task] as never })] })[0]!, /takes long/);
  assert.match(whats({ workers: [worker({ state: "draining" })] })[0]!, /all of them drain/);
});

test("the bad comes first, and a failed group can be looked at and replayed", () => {
  const found = told({ failures: [failure({ state: "waiting", code: "storage.unavailable" }), failure({})], reasons: { "dead.timeout.image.resize": "too slow" } });
  assert.deepEqual(found.map((one) => one.bad), [true, false]);
  assert.equal(found[0]!.why, "timeout: too slow");
  const [damaged] = told({ failures: [failure({ code: "input.corrupt" })] });
  assert.match(damaged!.why, /a good copy of it helps/);
  assert.deepEqual([found[0]!, damaged!].map((one) => one.remedies[1]!.doubtful), [false, true]);
  assert.deepEqual(found[0]!.remedies.map((one) => one.to ?? one.act?.kind), ["/dead?code=timeout&operation=image.resize", "replay"]);
  assert.equal(found[1]!.remedies.length, 1, "what is tried again by itself has nothing to press");
});

test("what is not ready says what its check says", () => {
  const checks = { broker: { ok: false, reason: "its last request failed; workers poll" }, disk: { ok: false, reason: "400 MB are free", since: "2026-01-01T00:00:00Z" }, store: { ok: true, reason: null }, "service.sweeper": { ok: false, reason: null } };
  const found = told({ ready: { status: "not_ready", checks } as never });
  assert.deepEqual(found.map((one) => one.what), ["The disk is nearly full", "The background service sweeper fails", "The broker does not answer"]);
  assert.match(found[0]!.why, /^400 MB are free. delete what is not needed/i);
  assert.deepEqual([found[0]!.since, found[2]!.since], ["2026-01-01T00:00:00Z", undefined]);
  assert.equal(found[2]!.bad, false, "work goes on without it");
  const away = told({ ready: { status: "not_ready", checks: { store: { ok: false, reason: "store.unavailable" }, "service.sweeper": { ok: false, reason: null } } } as never });
  assert.deepEqual(away.map((one) => one.what), ["The database does not answer"], "what follows from it is not told beside it");
});

test("a webhook that fails is told with its error, one that ended by itself is bad, one that a person ended is none", () => {
  const hook = (over: object) => ({ id: "h", url: "https://shop.example/in", types: [], state: "on", waiting: 0, failed: 0, delivered: 3, ...over }) as never;
  assert.deepEqual(told({ webhooks: [hook({}), hook({ state: "off", off_because: "operator" })] }), []);
  const [failing] = told({ webhooks: [hook({ failing_since: "2026-01-01T00:00:00Z", last_error: "it answered 500", waiting: 2 })] });
  assert.deepEqual([failing!.what, failing!.bad, failing!.since], ["The webhook to shop.example fails", false, "2026-01-01T00:00:00Z"]);
  assert.match(failing!.why, /^it answered 500; 2 events wait for it, and are tried again by themselves$/);
  const [given] = told({ webhooks: [hook({ failing_since: "2026-01-01T00:00:00Z", last_error: "it answered 500", failed: 13 })] });
  assert.match(given!.why, /13 deliveries failed for good, and nothing is tried again by itself$/);
  assert.deepEqual(failing!.remedies, [{ label: "Look", to: "/webhooks?of=h" }]);
  const [gone] = told({ webhooks: [hook({ state: "off", off_because: "gone" })] });
  assert.equal(gone!.bad, true);
  assert.match(gone!.why, /410 Gone/);
});
