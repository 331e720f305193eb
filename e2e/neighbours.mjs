// What a cluster of MediaFlow stands beside: PostgreSQL and Redis, started here, killed and started again.
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, readdirSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { endsWithUs, freePort } from "./served.mjs";

const postgresql = () => {
  const [newest] = readdirSync("/usr/lib/postgresql").sort((a, b) => Number(b) - Number(a));
  return join("/usr/lib/postgresql", newest, "bin");
};
// It refuses to run as root.
const another = process.getuid() === 0 ? ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"] : [];

class Neighbour {
  constructor(port, command, options = {}) {
    Object.assign(this, { port, command, options });
  }

  async start() {
    const [program, ...rest] = this.command;
    // A database that is killed leaves shared memory behind; after QUIT it does not.
    this.process = endsWithUs(spawn(program, rest, { stdio: "ignore", ...this.options }), "SIGQUIT");
    for (let i = 0; i < 300; i++) {
      if (await new Promise((go) => connect(this.port, "127.0.0.1").once("connect", function () { this.destroy(); go(true); }).once("error", () => go(false)))) return this;
      await new Promise((go) => setTimeout(go, 100));
    }
    throw new Error(`${program} did not start`);
  }

  async stop(signal = "SIGKILL") {
    if (this.process.exitCode !== null || this.process.signalCode) return;
    const gone = new Promise((go) => this.process.once("exit", go));
    this.process.kill(signal);
    await gone;
  }
}

export async function redis() {
  const port = await freePort();
  return new Neighbour(port, ["redis-server", "--port", String(port), "--bind", "127.0.0.1", "--save", ""]).start();
}

/** `database` is its address for MediaFlow. */
export async function postgres(folder) {
  const [port, bin, data] = [await freePort(), postgresql(), join(folder, "postgres")];
  mkdirSync(data);
  if (another.length) execFileSync("chown", ["nobody:nogroup", data]);
  const [program, ...rest] = [...another, join(bin, "initdb"), "--auth=trust", "--username=mediaflow", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "-D", data];
  execFileSync(program, rest, { cwd: data, stdio: "ignore" });
  const settings = [`port=${port}`, "listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off"].flatMap((one) => ["-c", one]);
  const server = await new Neighbour(port, [...another, join(bin, "postgres"), "-D", data, ...settings], { cwd: data }).start();
  server.database = `postgres://mediaflow@127.0.0.1:${port}/postgres`;
  return server;
}
