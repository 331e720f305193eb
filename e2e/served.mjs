// A MediaFlow server of one's own, and what tests say about it.
import { execFileSync, spawn } from "node:child_process";
import { createServer } from "node:net";

export async function freePort() {
  const server = createServer();
  await new Promise((go) => server.listen(0, "127.0.0.1", go));
  const { port } = server.address();
  await new Promise((go) => server.close(go));
  return port;
}

const running = new Set();
/** What is started ends with this process, also when that fails. */
export function endsWithUs(child, signal = "SIGKILL") {
  running.add([child, signal]);
  return child;
}
process.once("exit", () => running.forEach(([one, signal]) => one.kill(signal)));

export class Served {
  /** `flags` are more of them for `serve`; `through` is a command that starts it. */
  constructor(binary, data, config, { flags = [], through = [] } = {}) {
    Object.assign(this, { binary, data, config, flags, through });
  }

  async start() {
    this.port ??= await freePort();
    this.base = `http://127.0.0.1:${this.port}`;
    const env = this.env();
    const [command, ...rest] = [...this.through, this.binary, "serve", "--listen", `127.0.0.1:${this.port}`, "--data", this.data, ...this.flags];
    this.process = endsWithUs(spawn(command, rest, { env, stdio: ["ignore", "ignore", "pipe"] }));
    this.log = "";
    this.process.stderr.on("data", (text) => (this.log = (this.log + text).slice(-20_000)));
    for (let i = 0; i < 600; i++) {
      try {
        if ((await fetch(`${this.base}/readyz`)).ok) return this;
      } catch {
        // Not yet.
      }
      await new Promise((go) => setTimeout(go, 100));
    }
    throw new Error(`the server did not start: ${this.log}`);
  }

  async stop(signal = "SIGKILL") {
    if (this.process.exitCode !== null || this.process.signalCode) return;
    const gone = new Promise((go) => this.process.once("exit", go));
    this.process.kill(signal);
    await gone;
  }

  env() {
    return { ...process.env, ...(this.config ? { MEDIAFLOW_CONFIG: this.config } : {}) };
  }

  key(scopes, name = scopes.replaceAll(",", " and ")) {
    return execFileSync(this.binary, ["keys", "create", "--data", this.data, "--name", name, "--scopes", scopes, "--quiet"], { env: this.env() }).toString().trim();
  }

  async json(path, options = {}) {
    const answer = await fetch(this.base + path, { ...options, headers: { ...(this.token ? { Authorization: `Bearer ${this.token}` } : {}), ...options.headers } });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.status === 204 ? undefined : answer.json();
  }

  async upload(bytes, name, query = "") {
    const { id } = await this.json(`/v1/assets?filename=${encodeURIComponent(name)}${query}`, { method: "POST", body: bytes });
    return id;
  }

  async until(id, is, patience_ms = 120_000) {
    for (const end = Date.now() + patience_ms; Date.now() < end; await new Promise((go) => setTimeout(go, 200))) {
      const asset = await this.json(`/v1/assets/${id}`);
      if (is(asset)) return asset;
    }
    throw new Error(`${id} did not become what it should`);
  }
}
