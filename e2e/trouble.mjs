// Troubles that really happen, and what somebody sees who opens the dashboard then: what is stuck, since when, why, and what to press.
import { mkdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { binary, finish, folder, look, media, open, out, see, step } from "./hands.mjs";
import { postgres, redis } from "./neighbours.mjs";
import { Served } from "./served.mjs";

const pause = (ms) => new Promise((go) => setTimeout(go, ms));
const film = (server, n) => server.upload(readFileSync(media(`film-${n}.mp4`)), `film-${n}.mp4`);
const ready = (asset) => asset.state === "ready";
const needs = (page) => page.getByRole("region", { name: "What needs attention" });

/** Leases run out after half a minute, and busy machines take their time. */
async function opened(server) {
  const page = await open(server);
  page.setDefaultTimeout(90_000);
  return page;
}

function config(name, text) {
  const file = join(folder, `${name}.toml`);
  writeFileSync(file, text);
  return file;
}

async function until(what, is, patience_ms = 60_000) {
  for (const end = Date.now() + patience_ms; Date.now() < end; await pause(50)) if (await is()) return;
  throw new Error(`${what}: not within ${patience_ms / 1000} s`);
}

async function signIn(page, server) {
  page.quiet = true;
  await page.to("/");
  await page.getByLabel("API key").fill(server.token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await see(page, "All is well");
  page.quiet = false;
}

/** Workers that have nothing but an address and a key are killed in the middle of films. */
async function workersAreKilled() {
  const server = new Served(binary, join(folder, "api"), undefined, { flags: ["--role", "api"] });
  server.token = server.key("admin");
  const key = join(folder, "worker.key");
  writeFileSync(key, server.key("worker", "farm"));
  await server.start();
  let begun = 0;
  const slots = config("outpost", "[worker]\ncpu = 1\n");
  const outpost = () => new Served(binary, join(folder, `outpost-${++begun}`), slots, { flags: ["--role", "worker", "--via", server.base, "--key-file", key] }).start();
  const living = [await outpost(), await outpost()];
  /** Kills the one that encodes at this moment. */
  const kill = async () => {
    let busy;
    await until("a worker encodes a film", async () => {
      const { workers } = await server.json("/v1/workers");
      const name = workers.find((one) => one.state !== "gone" && one.tasks.some((task) => /^video\.(lead|encode)$/.test(task.operation)))?.name;
      return (busy = living.find((one) => name?.endsWith(`:${one.process.pid}`)));
    });
    living.splice(living.indexOf(busy), 1);
    await busy.stop();
    return new RegExp(`The worker .*:${busy.process.pid} is gone with \\d+ tasks? for \\d+ s`);
  };
  const page = await opened(server);

  await step("one of two workers is killed in the middle of a film: the other goes on", page, async () => {
    await signIn(page, server);
    const id = await film(server, 1);
    await needs(page).getByText(await kill()).waitFor();
    await needs(page).getByText("Others take its tasks when their leases have run out: nothing has to be pressed").waitFor();
    await look(page, "worker-gone");
    await server.until(id, ready, 240_000);
    await see(page, "All is well");
    await page.to(`/assets/${id}`);
    await page.getByRole("region", { name: "History" }).getByText(/lead failed \(attempt 1\) and will be tried again: worker\.lost/).waitFor();
    await page.getByRole("region", { name: "Work" }).getByRole("button", { name: /^lead/ }).first().click();
    await page.getByRole("region", { name: "Step lead" }).getByText("worker.lost").waitFor();
    await look(page, "worker-lost");
    await page.screenshot({ path: join(out, "worker-lost-whole.png"), fullPage: true });
  });

  await step("the last worker is killed: what waits is told, and that one must be started", page, async () => {
    await page.to("/");
    const id = await film(server, 2);
    await needs(page).getByText(await kill()).waitFor();
    await needs(page).getByText(/No worker lives for \d+ s/).waitFor();
    await needs(page).getByText("Start one, on this machine or another: it takes what waits by itself").waitFor();
    await needs(page).getByText(/\d+ video tasks? that no worker can take/).waitFor();
    await needs(page).getByText("no living worker serves its queue; start one, or look why it is gone").waitFor();
    await look(page, "workers-none");
    await page.setViewportSize({ width: 390, height: 844 });
    await page.screenshot({ path: join(out, "workers-none-phone.png") });
    await page.setViewportSize({ width: 1360, height: 900 });
    await needs(page).getByRole("link", { name: "Workers" }).first().click();
    await page.getByRole("region", { name: "Workers" }).getByText("gone").first().waitFor();
    await see(page, "No worker lives. Start one");
    await look(page, "workers-gone");
    const third = await outpost();
    await server.until(id, ready, 240_000);
    await page.to("/");
    await see(page, "All is well");
    await third.stop("SIGTERM");
  });

  await page.context().close();
  await server.stop("SIGTERM");
}

async function filesAreDamaged() {
  const server = await new Served(binary, join(folder, "damaged")).start();
  const page = await opened(server);
  const ids = [];

  await step("a cut picture and a damaged film: code, what the decoder said, and what to press", page, async () => {
    for (const name of ["cut.jpg", "damaged.mp4"]) ids.push(await server.upload(readFileSync(media(name)), name));
    for (const id of ids) await server.until(id, (asset) => asset.state === "failed", 240_000);
    await page.to("/");
    await needs(page).getByText(/1 image\.\w+ task failed for good/).waitFor();
    await needs(page).getByText(/1 video\.\w+ task failed for good/).first().waitFor();
    await needs(page).getByText(/input\.corrupt: \[h264\]/).first().waitFor();
    await needs(page).getByText(/input\.corrupt: .*The file itself is the reason/).first().waitFor();
    await look(page, "damaged");
    await needs(page).locator("li", { hasText: /video\.poster task/ }).getByRole("link", { name: "Look" }).click();
    await see(page, "One of them, opened");
    await page.locator("pre.error").first().waitFor();
    await look(page, "damaged-dead");
  });

  await step("what a good copy replaces is deleted, and all is well", page, async () => {
    await page.getByRole("link", { name: "The asset" }).click();
    await see(page, "input.corrupt");
    await look(page, "damaged-film");
    await film(server, 1);
    await page.getByRole("button", { name: "Delete…" }).click();
    await page.getByRole("dialog").getByRole("button", { name: /^Delete/ }).click();
    await server.until(ids[1], (asset) => asset.state === "deleted");
    await page.to(`/assets/${ids[0]}`);
    await page.getByRole("button", { name: "Delete…" }).click();
    await page.getByRole("dialog").getByRole("button", { name: /^Delete/ }).click();
    await page.to("/");
    await see(page, "All is well");
  });

  await page.context().close();
  await server.stop("SIGTERM");
}

/** The data folder is a small file system of the server's own, which only its namespace has. */
async function theDiskIsFull() {
  const data = join(folder, "disk");
  mkdirSync(data);
  const mounted = ["unshare", "--map-root-user", "--mount", "sh", "-c", 'mount -t tmpfs -o size=160m none "$0" && exec "$@"', data];
  const settings = config("disk", "[limits.upload]\nfree_bytes_min = 33554432\n");
  const server = await new Served(binary, data, settings, { through: mounted }).start();
  const inside = `/proc/${server.process.pid}/root${data}`;
  const junk = join(inside, "junk");
  const free = () => {
    const { bavail, bsize } = statfsSync(inside);
    return bavail * bsize;
  };
  const page = await opened(server);

  await step("a disk that is nearly full refuses uploads in words", page, async () => {
    await page.to("/");
    await see(page, "All is well");
    page.quiet = true;
    writeFileSync(junk, Buffer.alloc(free() - (12 << 20)));
    await needs(page).getByText(/The disk is nearly full for \d/).waitFor();
    await needs(page).getByText(/the disk has \d+ \S+ free and uploads need at least/).waitFor();
    await needs(page).getByText(/Delete what is not needed or make the disk larger/).waitFor();
    await look(page, "disk");
    const answer = await fetch(`${server.base}/v1/assets?filename=no.jpg`, { method: "POST", body: readFileSync(media("photo-1.jpg")) });
    const problem = await answer.json();
    if (answer.status !== 507 || problem.code !== "limit.storage") throw new Error(JSON.stringify(problem));
    await page.getByRole("link", { name: "What is stored" }).click();
    await see(page, "uploads are refused below 33.6 MB");
    await page.to("/upload");
    await page.getByLabel("Choose files").setInputFiles(media("photo-1.jpg"));
    await see(page, /the disk has \d+ \S+ free and uploads need at least .*; the upload goes on in/);
    await look(page, "disk-upload");
    rmSync(junk);
    await see(page, "All done");
    await page.getByRole("listitem").filter({ hasText: "photo-1.jpg" }).getByText("ready").waitFor();
    await page.to("/");
    await see(page, "All is well");
  });

  await step("as good as full under work: tasks wait, and go on when there is room", page, async () => {
    const id = await film(server, 1);
    await until("the film is being encoded", async () => (await server.json(`/v1/assets/${id}/tasks?limit=200`)).items.some((task) => task.operation === "video.lead" && task.state === "running"));
    // Room for what the database writes, and for nothing that is made of a film, also when something is freed.
    const pieces = [];
    const fill = () => {
      while (free() > 1 << 20) {
        pieces.push(`${junk}-${pieces.length}`);
        writeFileSync(pieces.at(-1), Buffer.alloc(Math.min(free() - (1 << 19), 1 << 24)));
      }
    };
    fill();
    const filling = setInterval(fill, 100);
    try {
      await needs(page).getByText(/\d+ (video|image|network)\.\w+ tasks? waits? for another try/).first().waitFor();
      await needs(page).getByText(/limit\.storage: .*disk is full/).first().waitFor();
      await needs(page).getByText("The disk is nearly full").waitFor();
      await look(page, "disk-full");
    } finally {
      clearInterval(filling);
      for (const piece of pieces) rmSync(piece);
    }
    await server.until(id, ready, 240_000);
    await see(page, "All is well");
    const { items } = await server.json(`/v1/assets/${id}/tasks?limit=200`);
    const other = items.flatMap((task) => task.tries).filter((one) => one.error_code && one.error_code !== "limit.storage");
    if (other.length) throw new Error(`other reasons than the disk: ${JSON.stringify(other)}`);
    page.quiet = false;
  });

  await page.context().close();
  await server.stop("SIGTERM");
}

async function neighboursAreAway() {
  const database = await postgres(folder);
  const broker = await redis();
  const signing = `[[delivery.signing_keys]]\nid = "k1"\nsecret = "${"0".repeat(64)}"\n`;
  const settings = config("cluster", `store = "${database.database}"\nbroker = "redis://127.0.0.1:${broker.port}"\n${signing}`);
  const server = new Served(binary, join(folder, "cluster"), settings);
  server.token = server.key("admin");
  await server.start();
  const page = await opened(server);
  const check = async (name) => (await (await fetch(`${server.base}/readyz`)).json()).checks[name];

  await step("the broker is away: it is told, work goes on, and it heals", page, async () => {
    await signIn(page, server);
    await broker.stop();
    const id = await server.upload(readFileSync(media("photo-1.jpg")), "photo-1.jpg");
    await needs(page).getByText(/The broker does not answer for \d/).waitFor();
    await needs(page).getByText(/workers poll\. Work goes on, only later by a moment/).waitFor();
    await server.until(id, ready);
    const answer = await fetch(`${server.base}/readyz`);
    if (!answer.ok || (await check("broker")).ok) throw new Error("it is ready, and says that its broker is not");
    await look(page, "broker");
    await broker.start();
    await see(page, "All is well");
    if (!(await check("broker")).ok) throw new Error("it does not know that the broker is back");
  });

  await step("the database is away: it is told, and everything goes on when it is back", page, async () => {
    page.quiet = true;
    await database.stop("SIGQUIT");
    await needs(page).getByText(/The database does not answer for \d/).waitFor();
    await look(page, "database");
    // Whoever opens the dashboard at this moment is not asked for a key.
    await page.reload();
    await see(page, /The server says: the database did not answer/);
    await page.screenshot({ path: join(out, "database-opened.png") });
    await database.start();
    await see(page, "All is well");
    const id = await server.upload(readFileSync(media("photo-2.jpg")), "photo-2.jpg");
    await server.until(id, ready);
    page.quiet = false;
  });

  await page.context().close();
  await server.stop("SIGTERM");
  await broker.stop();
  await database.stop("SIGQUIT");
}

const cases = { workers: workersAreKilled, damaged: filesAreDamaged, disk: theDiskIsFull, neighbours: neighboursAreAway };
// CASES=disk,workers does only these.
for (const name of process.env.CASES?.split(",") ?? Object.keys(cases)) await cases[name]();
await finish();
