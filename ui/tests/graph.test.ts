import assert from "node:assert/strict";
import test from "node:test";
import type { Step } from "../src/api/client.ts";
import { followers, layout, retriable, sources } from "../src/graph.ts";

const steps = (graph: Record<string, string[]>) => Object.entries(graph).map(([name, needs]) => ({ name, needs }) as Step);
const image = steps({ inspect: [], moderate: [], resize: ["inspect", "moderate"], watermark: ["resize"], compress: ["watermark"], placeholder: ["resize"], publish: ["compress", "placeholder"] });

test("a step stands in the column after the last that it needs", () => {
  const drawn = layout(image);
  const column = (name: string) => drawn.nodes.find((node) => node.step.name === name)!.column;
  assert.deepEqual(image.map((step) => column(step.name)), [0, 0, 1, 2, 3, 2, 4]);
  assert.equal(drawn.columns, 5);
  const places = drawn.nodes.map((node) => `${node.column} ${node.row}`);
  assert.equal(new Set(places).size, places.length, "no two stand in one place");
});

test("what another need stands on anyway is no line of its own", () => {
  const lines = layout(steps({ a: [], b: ["a"], c: ["a", "b"] })).edges.map((edge) => `${edge.from}>${edge.to}`);
  assert.deepEqual(lines, ["a>b", "b>c"]);
});

test("a line has a place in each column that it passes", () => {
  const edge = layout(image).edges.find((edge) => edge.from === "placeholder" && edge.to === "publish")!;
  assert.deepEqual(edge.points.map((point) => point.column), [2, 3, 4]);
});

test("nothing is drawn of nothing", () => assert.deepEqual(layout([]), { nodes: [], columns: 1, rows: 0, edges: [] }));

test("followers are all that need a step, sources all that it needs", () => {
  assert.deepEqual(followers(image, "resize"), ["watermark", "compress", "placeholder", "publish"]);
  assert.deepEqual(followers(image, "publish"), []);
  assert.deepEqual(sources(image, "compress"), ["inspect", "moderate", "resize", "watermark"]);
  assert.deepEqual(sources(image, "inspect"), []);
});

const task = (step: string, state: string) => ({ step, state });
const named = (found: ReturnType<typeof retriable>) => [found.own, found.after, found.before].map((some) => some.map((one) => one.step).join());

test("what failed is tried again from the step itself, from one before it, and from one that waits for it", () => {
  const tasks = [task("inspect", "succeeded"), task("resize", "dead"), task("watermark", "cancelled"), task("compress", "cancelled")];
  assert.deepEqual(named(retriable(image, tasks, "resize")), ["resize", "", ""]);
  assert.deepEqual(named(retriable(image, tasks, "inspect")), ["", "resize", ""]);
  assert.deepEqual(named(retriable(image, tasks, "compress")), ["", "", "resize"]);
});

test("where nothing failed nothing can be tried again", () => {
  const tasks = [task("inspect", "succeeded"), task("resize", "cancelled"), task("moderate", "running")];
  for (const step of image) assert.deepEqual(named(retriable(image, tasks, step.name)), ["", "", ""]);
});

test("one task alone, without its graph, is tried again by itself", () => assert.deepEqual(named(retriable([], [task("encode", "dead")], "encode")), ["encode", "", ""]));
