import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { Refused } from "../src/api/client.ts";
import { send } from "../src/tus.ts";

/** A tus server with one upload, as far as a browser sees one. */
class Server {
  length = -1;
  bytes = 0;
  said: Record<string, string> = {};
  asked: string[] = [];
  /** What goes wrong: after so many bytes of a part the line breaks, the answer is this status, or there is none. */
  trouble: ({ after: number } | { status: number; code: string } | "silence")[] = [];

  fetch = async (path: string, options: RequestInit = {}): Promise<Response> => {
    this.asked.push(`${options.method} ${path}`);
    if (options.method !== "DELETE") options.signal?.throwIfAborted();
    const headers = new Headers(options.headers);
    assert.equal(headers.get("Tus-Resumable"), "1.0.0");
    if (options.method === "POST") {
      const wrong = this.trouble[0];
      if (typeof wrong === "object" && "status" in wrong) return new Response(JSON.stringify({ code: wrong.code, detail: "no" }), { status: this.trouble.shift() && wrong.status });
      this.length = Number(headers.get("Upload-Length"));
      for (const pair of headers.get("Upload-Metadata")!.split(",")) {
        const [name, value] = pair.split(" ");
        this.said[name!] = Buffer.from(value!, "base64").toString();
      }
      return new Response(null, { status: 201, headers: { Location: "/v1/tus/u1" } });
    }
    if (options.method === "DELETE") return new Response(null, { status: 204 });
    if (this.length < 0) return new Response(null, { status: 404 });
    return new Response(null, { headers: { "Upload-Offset": String(this.bytes), ...(this.bytes === this.length ? { "Mediaflow-Asset": "/v1/assets/a1" } : {}) } });
  };

  request = (server = this) =>
    class {
      upload: { onprogress?: (event: { loaded: number }) => void } = {};
      status = 0;
      responseText = "";
      headers: Record<string, string> = {};
      onload?: () => void;
      onerror?: () => void;
      onabort?: () => void;
      onloadend?: () => void;
      open(method: string, path: string): void {
        server.asked.push(`${method} ${path}`);
      }
      setRequestHeader(name: string, value: string): void {
        this.headers[name] = value;
      }
      getResponseHeader(name: string): string | null {
        if (name === "Upload-Offset") return String(server.bytes);
        return server.bytes === server.length ? "/v1/assets/a1" : null;
      }
      abort(): void {
        this.onabort?.();
        this.onloadend?.();
      }
      send(bytes: Blob): void {
        queueMicrotask(() => {
          assert.equal(Number(this.headers["Upload-Offset"]), server.bytes);
          const wrong = server.trouble.shift();
          if (wrong === "silence") return;
          const arrived = wrong ? ("after" in wrong ? wrong.after : 0) : bytes.size;
          server.bytes += arrived;
          this.upload.onprogress?.({ loaded: arrived });
          this.status = wrong && "status" in wrong ? wrong.status : 204;
          this.responseText = wrong && "code" in wrong ? JSON.stringify({ code: wrong.code, detail: "no" }) : "";
          (wrong && "after" in wrong ? this.onerror : this.onload)?.();
          this.onloadend?.();
        });
      }
    };
}

let server: Server;
let kept: Map<string, string>;

const file = new File(["0123456789"], "sea größe.jpg", { lastModified: 7 });
function sending(said: Record<string, string> = {}) {
  const stop = new AbortController();
  const progress: number[] = [];
  const waits: number[] = [];
  const whys: string[] = [];
  return { stop, progress, waits, whys, all: { file, said, progress: (n: number) => progress.push(n), waiting: (why: string, n: number) => void (waits.push(n), whys.push(why)), signal: stop.signal } };
}

describe("uploads", () => {
  const real = globalThis.fetch;
  beforeEach(() => {
    server = new Server();
    kept = new Map();
    const localStorage = { getItem: (name: string) => kept.get(name) ?? null, setItem: (name: string, value: string) => kept.set(name, value), removeItem: (name: string) => kept.delete(name) };
    Object.assign(globalThis, { fetch: server.fetch, XMLHttpRequest: server.request(), localStorage, location: { href: "http://here/" } });
  });
  afterEach(() => Object.assign(globalThis, { fetch: real }));

  test("a file is announced with what is said of it, sent, and is an asset", async () => {
    const { all, progress } = sending({ tags: "summer, sea", visibility: "" });
    assert.equal(await send(all), "a1");
    assert.deepEqual(server.said, { filename: "sea größe.jpg", tags: "summer, sea" });
    assert.deepEqual([server.length, server.bytes, progress.at(-1)], [10, 10, 10]);
    assert.equal(kept.size, 0, "a whole upload is not gone on with");
  });

  test("after a break it goes on where it was, and pauses longer each time", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    server.trouble = [{ after: 4 }, { after: 0 }, { status: 507, code: "limit.storage" }];
    const { all, waits, whys } = sending();
    let sent: string | undefined;
    void send(all).then((id) => (sent = id));
    while (!sent) {
      await new Promise((go) => setImmediate(go));
      t.mock.timers.tick(30_000);
    }
    assert.equal(sent, "a1");
    assert.deepEqual(waits, [1, 2, 4]);
    assert.deepEqual(whys, ["the connection broke", "the connection broke", "no"], "what the server says is said");
    assert.equal(server.asked.filter((one) => one.startsWith("POST")).length, 1);
  });

  test("a page that was closed goes on with the same file, and begins anew when the server forgot it", async () => {
    kept.set("mediaflow.upload.sea größe.jpg:10:7", "/v1/tus/u1");
    [server.length, server.bytes] = [10, 6];
    assert.equal(await send(sending().all), "a1");
    assert.deepEqual(server.asked, ["HEAD /v1/tus/u1", "PATCH /v1/tus/u1"]);
    kept.set("mediaflow.upload.sea größe.jpg:10:7", "/v1/tus/u0");
    [server.length, server.bytes, server.asked] = [-1, 0, []];
    assert.equal(await send(sending().all), "a1");
    assert.deepEqual(server.asked, ["HEAD /v1/tus/u0", "POST /v1/tus", "PATCH /v1/tus/u1"]);
  });

  test("what is refused for good is not tried again", async () => {
    server.trouble = [{ status: 415, code: "limit.type" }];
    const { all, waits } = sending();
    await assert.rejects(send(all), (error: Refused) => error.code === "limit.type" && error.status === 415);
    assert.deepEqual([waits, kept.size], [[], 0]);
  });

  test("one that is given up is ended at the server too", async () => {
    const { all, stop } = sending();
    server.trouble = ["silence"];
    const gone = assert.rejects(send(all), (error: Error) => error.name === "AbortError");
    while (!server.asked.some((one) => one.startsWith("PATCH"))) await new Promise((go) => setImmediate(go));
    stop.abort();
    await gone;
    assert.equal(kept.size, 0);
    assert.equal(server.asked.at(-1), "DELETE /v1/tus/u1");
  });

  test("one that is given up while it waits for its next try ends at once", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const { all, stop, waits } = sending();
    server.trouble = [{ after: 4 }];
    const gone = assert.rejects(send(all), (error: Error) => error.name === "AbortError");
    while (!waits.length) await new Promise((go) => setImmediate(go));
    stop.abort();
    await gone;
    assert.equal(kept.size, 0);
  });
});
