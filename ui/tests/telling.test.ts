import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";

// What a browser has; modules look at it when they are loaded.
const listeners: Record<string, () => void> = {};
const page = { visibilityState: "visible", addEventListener: (name: string, listener: () => void) => void (listeners[name] = listener) };
let address = "";
const location = {
  get hash() {
    return address;
  },
  set hash(text: string) {
    address = text.startsWith("#") ? text : `#${text}`;
    listeners.hashchange?.();
  },
};
class Source {
  static all: Source[] = [];
  static CLOSED = 2;
  readyState = 1;
  onopen?: () => void;
  onmessage?: (message: { lastEventId: string; data: string }) => void;
  onerror?: () => void;
  constructor(readonly url: string) {
    Source.all.push(this);
  }
  close(): void {
    this.readyState = Source.CLOSED;
  }
  says(position: number, type: string): void {
    this.onmessage?.({ lastEventId: String(position), data: JSON.stringify({ type, subject: "a" }) });
  }
}
const history = { replaceState: (_: unknown, __: string, text: string) => (address = text) };
Object.assign(globalThis, { document: page, location, history, EventSource: Source, addEventListener: (name: string, listener: () => void) => (listeners[name] = listener) });

const { follow, hangUp, stream } = await import("../src/live/events.svelte.ts");
const { go, refine, route } = await import("../src/route.svelte.ts");
const { replayGroup, replaying } = await import("../src/replay.svelte.ts");

describe("what is told to all screens", () => {
  const real = globalThis.fetch;
  afterEach(() => void (globalThis.fetch = real));

  test("all screens share one stream, and a listener that left hears nothing", () => {
    const heard: string[] = [];
    const first = follow((event) => heard.push(`1 ${event.type}`));
    const second = follow((event) => heard.push(`2 ${event.type}`));
    assert.equal(Source.all.length, 1);
    const source = Source.all[0]!;
    assert.equal(source.url, "/v1/events?after=latest");
    source.onopen?.();
    assert.equal(stream.open, true);
    source.says(7, "asset.ready");
    first();
    source.says(8, "task.dead");
    second();
    assert.deepEqual(heard, ["1 asset.ready", "2 asset.ready", "2 task.dead"]);
    hangUp();
    assert.deepEqual([stream.open, source.readyState], [false, Source.CLOSED]);
  });

  test("after an answer that is no stream it is opened again where it was", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    globalThis.fetch = (async () => new Response("ok")) as typeof fetch;
    const end = follow(() => undefined);
    const source = Source.all.at(-1)!;
    source.says(41, "asset.ready");
    source.readyState = Source.CLOSED;
    source.onerror?.();
    t.mock.timers.tick(3000);
    assert.equal(Source.all.at(-1)!.url, "/v1/events?after=41");
    end();
    hangUp();
    await new Promise((done) => setImmediate(done));
  });

  test("the address says where one is, and narrowing a list is no step back in the history", () => {
    go("/assets?state=failed&text=a%20b");
    assert.deepEqual([route.path, route.query.get("state"), route.query.get("text")], ["/assets", "failed", "a b"]);
    refine({ state: "", tag: "sea" });
    assert.equal(address, "#/assets?text=a+b&tag=sea");
    assert.deepEqual([...route.query.keys()], ["text", "tag"]);
    go("");
    assert.equal(route.path, "/");
  });

  test("a group is replayed by the hundred, to its end and no further", async () => {
    const asked: object[] = [];
    const left = [100, 100, 30, 100];
    globalThis.fetch = (async (_: string, options: RequestInit) => {
      asked.push(JSON.parse(options.body as string));
      return new Response(JSON.stringify({ replayed: left[asked.length - 1] }));
    }) as typeof fetch;
    await replayGroup({ code: "timeout" }, 230);
    assert.deepEqual(asked, Array(3).fill({ code: "timeout", limit: 100 }));
    assert.deepEqual([replaying.done, replaying.what], [230, ""]);
    // What dies again at once is there again, and is not replayed for ever.
    asked.length = 0;
    left.fill(100);
    await replayGroup({}, 150);
    assert.equal(asked.length, 2);
  });
});
