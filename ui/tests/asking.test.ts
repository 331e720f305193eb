import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { act, suited, tasks } from "../src/acting.ts";
import { address, type AssetItem, get, type Graph, own, PATIENCE_MS, post, Refused, remove, Unreachable, unknown } from "../src/api/client.ts";
import { pixels } from "../src/blurhash.ts";
import { connection } from "../src/live/connection.svelte.ts";

const real = globalThis.fetch;
interface Call { method: string; path: string; body?: string }
/** Answers requests in the server's place, and remembers them. */
function serve(answer: (call: Call) => { status?: number; json?: unknown } | Error): Call[] {
  const calls: Call[] = [];
  globalThis.fetch = (async (path: string, options: RequestInit = {}) => {
    const call = { method: options.method ?? "GET", path, body: options.body as string };
    calls.push(call);
    const said = answer(call);
    if (said instanceof Error) throw said;
    return new Response(said.json === undefined ? null : JSON.stringify(said.json), { status: said.status ?? 200 });
  }) as typeof fetch;
  return calls;
}
describe("requests and deeds", () => {
  afterEach(() => void (globalThis.fetch = real));

  test("addresses are filled, and what is not said is not asked", () => {
    assert.equal(address("/v1/assets/{id}/captions/{language}", { path: { id: "a/b", language: "pt-BR" } }), "/v1/assets/a%2Fb/captions/pt-BR");
    assert.equal(address("/v1/assets", { query: { text: "a b&c", state: "", cursor: undefined, tag: null, limit: 0 } }), "/v1/assets?text=a+b%26c&limit=0");
  });

  test("pictures come from this server, wherever addresses lead", () => {
    assert.equal(own("https://cdn.example/media/x/large.avif?sig=1"), "/media/x/large.avif?sig=1");
    assert.equal(own("/elsewhere"), "/elsewhere");
  });

  test("a refusal has the server's code and words", async () => {
    serve(() => ({ status: 409, json: { code: "conflict.state", detail: "its run is over", correlation_id: "c1" } }));
    await assert.rejects(post("/v1/tasks/{id}/replay", { path: { id: "t" } }), (error: Refused) => error.code === "conflict.state" && error.message === "its run is over" && error.correlation === "c1" && error.status === 409);
  });

  test("a key that ended is told of once, and not when one signs in", async () => {
    let told = 0;
    unknown.told = () => (told += 1);
    serve(() => ({ status: 401, json: { code: "auth.invalid" } }));
    await assert.rejects(get("/v1/session"), Refused);
    assert.equal(told, 0);
    await assert.rejects(get("/v1/keys"), Refused);
    assert.equal(told, 1);
  });

  test("a server that is not ready still answers", async () => {
    serve(() => ({ status: 503, json: { status: "not_ready" } }));
    assert.equal(((await get("/readyz")) as { status: string }).status, "not_ready");
  });

  test("a server that is not there is asked each second until it is back", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const second = async () => {
      t.mock.timers.tick(1000);
      await new Promise((done) => setImmediate(done));
    };
    const before = connection.epoch;
    for (const gone of [new TypeError("refused"), { status: 502 }, { status: 504 }]) {
      const calls = serve(() => gone);
      await assert.rejects(get("/v1/queues"), Unreachable);
      assert.ok(connection.lostAt);
      await second();
      assert.equal(calls.at(-1)!.path, "/healthz");
    }
    serve(() => ({ json: {} }));
    await second();
    assert.deepEqual([connection.lostAt, connection.epoch], [null, before + 1]);
  });

  test("a server that keeps a connection and says nothing is not waited for for ever", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const hangs = ((_path: string, { signal }: RequestInit) => new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)))) as typeof fetch;
    globalThis.fetch = hangs;
    const asked = get("/v1/queues");
    t.mock.timers.tick(PATIENCE_MS);
    await assert.rejects(asked, Unreachable);
    assert.ok(connection.lostAt);
    // Whoever does not want to know any more has not found out that the server is away.
    serve(() => ({ json: {} }));
    await get("/v1/queues");
    globalThis.fetch = hangs;
    const leaving = new AbortController();
    const left = get("/v1/queues", { signal: leaving.signal });
    leaving.abort();
    await assert.rejects(left, { name: "AbortError" });
    assert.equal(connection.lostAt, null);
  });

  const asset = (id: string, state = "ready", kind = "image") => ({ id, state, kind, original: { bytes: 1 } }) as unknown as AssetItem;

  test("only what can be done is done: rejected assets can be deleted and nothing else", () => {
    const all = [asset("1"), asset("2", "rejected"), asset("3", "deleted")];
    const ids = (deed: "delete" | "reprocess" | "replay") => suited(deed, all).map((one) => one.id).join();
    assert.deepEqual([ids("delete"), ids("reprocess"), ids("replay")], ["1,2", "1", "1"]);
  });

  test("a preview counts the steps of each recipe, and says where there are more", () => {
    const recipes = [{ name: "image", steps: [1, 2, 3] }, { name: "video", steps: [1, 2, 3, 4] }] as unknown as Graph[];
    assert.deepEqual(tasks([asset("1"), asset("2")], recipes, ""), { tasks: 6, more: false });
    assert.deepEqual(tasks([asset("1"), asset("2", "ready", "video")], recipes, ""), { tasks: 7, more: true });
  });

  test("many are done a few at a time, and a refusal stops nobody else", async () => {
    let under = 0;
    let most = 0;
    const calls = serve((call) => {
      most = Math.max(most, ++under);
      queueMicrotask(() => (under -= 1));
      return call.path.endsWith("/3") ? { status: 404, json: { code: "asset.not_found", detail: "There is no such asset." } } : { status: 204 };
    });
    const progress: number[] = [];
    const outcome = await act("delete", ["1", "2", "3", "4", "5", "6"].map((id) => asset(id)), "", (n) => progress.push(n), () => false);
    assert.equal(outcome.done, 5);
    assert.deepEqual(outcome.refused.map((one) => [one.asset.id, one.why]), [["3", "There is no such asset."]]);
    assert.equal(progress.at(-1), 6);
    assert.equal(calls.length, 6);
    assert.ok(most <= 4);
    await remove("/v1/session");
  });

  test("a stop leaves the rest as it is", async () => {
    const calls = serve(() => ({ status: 204 }));
    const outcome = await act("delete", [asset("1"), asset("2")], "", () => undefined, () => true);
    assert.deepEqual([outcome.done, calls.length], [0, 0]);
  });

  test("a BlurHash has its colours, and what is none has nothing", () => {
    const drawn = pixels("LEHV6nWB2yk8pyo0adR*.7kCMdnj", 4, 4)!;
    assert.equal(drawn.length, 64);
    assert.ok(drawn.every((value, i) => i % 4 !== 3 || value === 255), "nothing is transparent");
    assert.ok(new Set(drawn).size > 4, "it is not one colour");
    // One wave of the colour 0xff8000 alone.
    const flat = pixels("00TSUA", 2, 2);
    assert.ok(flat && [0, 4, 8, 12].every((at) => flat[at] === flat[0]));
    for (const bad of ["", "LEHV6n", "LEHV6nWB2yk8pyo0adR*.7kCMdn", "\u00e9".repeat(6)]) assert.equal(pixels(bad, 4, 4), undefined, bad);
  });
});
