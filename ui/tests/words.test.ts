import assert from "node:assert/strict";
import test from "node:test";
import { ago, bytes, lasting, many, position, rate, story, tone } from "../src/words.ts";

const check = (of: (n: number) => string, cases: [number, string][]) => {
  for (const [n, said] of cases) assert.equal(of(n), said, String(n));
};

test("sizes have three digits at most and never four", () =>
  check(bytes, [[0, "0 B"], [999, "999 B"], [1000, "1 kB"], [1550, "1.55 kB"], [99_949, "99.9 kB"], [999_499, "999 kB"], [999_500, "1 MB"], [4_294_967_296, "4.29 GB"], [5e15, "5000 TB"]]));

test("times are told as people do", () =>
  check(lasting, [[0, "0 ms"], [0.94, "940 ms"], [0.96, "1 s"], [9.04, "9 s"], [89, "89 s"], [90, "2 min"], [5400, "1.5 h"], [7100, "2 h"], [40_000, "11 h"], [129_600, "1.5 days"], [900_000, "10 days"], [Infinity, "?"]]));

test("rates take the unit in which they can be read", () => check(rate, [[0, "0"], [2, "2.0/s"], [0.5, "30.0/min"], [0.001, "4/h"]]));

test("places in a film have minutes and seconds, and hours where there are any", () => check(position, [[0, "0:00"], [61.9, "1:01"], [3661, "1:01:01"], [-1, "0:00"]]));

test("one is not many", () => {
  assert.equal(many(1, "task"), "1 task");
  assert.equal(many(0, "task"), "0 tasks");
  assert.equal(many(1234, "child", "children"), "1,234 children");
});

test("the last moments are now, and no time is nothing", () => {
  const now = Date.parse("2026-01-01T00:10:00Z");
  assert.equal(ago("2026-01-01T00:09:56Z", now), "just now");
  assert.equal(ago("2026-01-01T00:00:00Z", now), "10 min ago");
  assert.equal(ago(null, now), "");
});

test("states that call for somebody are not coloured as if all were well", () => {
  for (const state of ["dead", "failed", "gone", "rejected", "failing"]) assert.equal(tone(state), "bad", state);
  for (const state of ["waiting", "in_review", "draining"]) assert.equal(tone(state), "warn", state);
  assert.equal(tone("never heard of"), "idle");
});

test("events are sentences, and unknown ones keep their name", () => {
  const event = (type: string, data: object) => story({ type, data } as never);
  assert.equal(event("task.dead", { step: "resize", attempt: 3, code: "timeout", message: "too slow" }), "resize failed for good (attempt 3): timeout: too slow");
  assert.equal(event("task.succeeded", { step: "resize", attempt: 1 }), "resize is done");
  assert.equal(event("moderation.decided", { verdict: "reject", by: "person", reason: "no" }), "Moderation says reject, decided by a person: no");
  assert.equal(event("asset.new_kind", {}), "asset.new_kind");
});
