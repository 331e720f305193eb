// Every screen and action of the dashboard, on a server that needs no keys and on one that does.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { binary, finish, folder, look, media, open, out, see, step } from "./hands.mjs";
import { keys, outlets, stockAndSettings } from "./operating.mjs";
import { Served } from "./served.mjs";
import { webhooks } from "./webhooks.mjs";

async function openServer() {
  const server = await new Served(binary, join(folder, "open")).start();
  const page = await open(server);
  const ids = {};

  await step("first load is small and fast", page, async () => {
    const session = await page.context().newCDPSession(page);
    await session.send("Network.enable");
    let bytes = 0;
    session.on("Network.loadingFinished", (event) => (bytes += event.encodedDataLength));
    const began = Date.now();
    await page.to("/");
    await page.getByRole("heading", { name: "All is well" }).waitFor();
    const ms = Date.now() - began;
    console.log(`       ${Math.round(bytes / 1000)} kB over the wire, usable after ${ms} ms`);
    if (bytes > 200_000) throw new Error(`${bytes} bytes`);
    await session.detach();
    const answer = await page.request.get(server.base, { headers: { Accept: "text/html" } });
    if (/unsafe|\*/.test(answer.headers()["content-security-policy"])) throw new Error("the policy is weak");
  });

  await step("an empty server says what to do", page, async () => {
    await page.getByRole("navigation").getByRole("link", { name: "Assets" }).click();
    await see(page, "There are no assets yet.");
    await page.keyboard.press("g");
    await page.keyboard.press("n");
    await page.getByRole("heading", { name: "All is well" }).waitFor();
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keyboard" }).waitFor();
    await page.keyboard.press("Escape");
  });

  await step("uploads: several at once, a folder, and a broken line", page, async () => {
    await page.getByRole("link", { name: "Upload", exact: true }).click();
    // The first bytes of the film do not arrive whole.
    let broken = false;
    page.quiet = true;
    await page.route("**/v1/tus/*", async (route) => {
      if (route.request().method() === "PATCH" && !broken) {
        broken = true;
        return route.abort("connectionreset");
      }
      return route.continue();
    });
    await page.getByText("Tags, visibility, priority, recipe").click();
    await page.getByLabel("Tags").fill("tour");
    await page.getByLabel("Choose files").setInputFiles([media("film.mp4"), media("tone.flac"), media("valley.jpg"), media("badge.png"), media("broken.jpg")]);
    await page.getByLabel("Choose a folder").setInputFiles(media("holiday"));
    await see(page, "the connection broke; the upload goes on in");
    await page.screenshot({ path: join(out, "upload-running.png") });
    await see(page, "All done");
    if (!broken) throw new Error("nothing was broken");
    await page.unroute("**/v1/tus/*");
    await page.waitForTimeout(200);
    page.quiet = false;
    const all = await server.json("/v1/assets?limit=50");
    for (const one of all.items) ids[one.original.filename] = one.id;
    if (all.items.length !== 11) throw new Error(`${all.items.length} assets`);
    await server.until(ids["film.mp4"], (asset) => asset.state === "ready", 240_000);
    await server.until(ids["tone.flac"], (asset) => asset.state === "ready");
    for (const n of [1, 2, 3, 4, 5, 6]) await server.until(ids[`beach-${n}.jpg`], (asset) => asset.state === "ready");
    await page.getByRole("listitem").filter({ hasText: "film.mp4" }).getByText("ready").waitFor();
    await page.getByRole("listitem").filter({ hasText: "broken.jpg" }).getByText("failed", { exact: true }).waitFor();
    await look(page, "upload");
    const tags = (await server.json(`/v1/assets/${ids["film.mp4"]}`)).tags;
    if (tags[0] !== "tour") throw new Error(`tags ${tags}`);
    await server.json(`/v1/assets/${ids["film.mp4"]}/captions/en`, { method: "PUT", body: readFileSync(media("film.srt")) }).catch(() => undefined);
  });

  await step("Now says what is stuck, since when, why, and what to press", page, async () => {
    await page.to("/");
    await see(page, "1 image.resize task failed for good");
    await see(page, /^for \d+/);
    await page.getByRole("region", { name: "What needs attention" }).getByText("input.").first().waitFor();
    await page.getByRole("link", { name: "Look" }).waitFor();
    // While nothing changes but the time, nothing is read out.
    const spoken = await page.evaluate(async () => {
      const said = [];
      const listener = new MutationObserver((changes) => said.push(...changes.map((change) => change.target.textContent)));
      for (const region of document.querySelectorAll(".verdict, .verdict [aria-live]")) if (region.ariaLive) listener.observe(region, { subtree: true, childList: true, characterData: true });
      await new Promise((go) => setTimeout(go, 2500));
      return said;
    });
    if (spoken.length) throw new Error(`it is read out: ${spoken}`);
    await look(page, "now");
    await page.setViewportSize({ width: 1360, height: 1700 });
    await page.screenshot({ path: join(out, "now-whole.png"), fullPage: true });
    await page.setViewportSize({ width: 1360, height: 900 });
    await page.getByRole("button", { name: "Replay all" }).click();
    await see(page, "1 task replayed");
    await see(page, /failed for good \(attempt/);
  });

  await step("a switch that is off is told, and put on again with one press", page, async () => {
    await page.to("/workers");
    await page.getByRole("region", { name: "Workers" }).getByText("working").waitFor();
    await look(page, "workers");
    await page.to("/settings");
    await page.getByRole("region", { name: "Switches" }).locator(".switch", { hasText: "claims.image" }).getByRole("button").click();
    await page.getByRole("dialog").getByRole("button", { name: "Switch off" }).click();
    await see(page, "Switch on");
    await page.getByRole("region", { name: "Changes" }).getByText("claims.image").first().waitFor();
    await page.screenshot({ path: join(out, "settings-switched.png") });
    const waiting = await server.upload(readFileSync(media("valley.jpg")), "waits.jpg");
    await page.to("/");
    await see(page, /image tasks? waits?: claims are switched off|image tasks wait: claims are switched off/);
    await page.screenshot({ path: join(out, "now-paused.png") });
    // What could not be done is not told as done.
    page.quiet = true;
    await page.route("**/v1/switches/*", (route) => route.fulfill({ status: 503, json: { code: "store.unavailable", detail: "The database does not answer." } }));
    await page.getByRole("button", { name: "Switch on" }).click();
    await see(page, "It could not be switched on: The database does not answer.");
    if (await page.getByText("is on again").count()) throw new Error("it says that it is on");
    await page.unroute("**/v1/switches/*");
    page.quiet = false;
    await page.getByRole("button", { name: "Switch on" }).click();
    await server.until(waiting, (asset) => asset.state === "ready");
    await page.getByText("claims are switched off").waitFor({ state: "detached" });
  });

  await step("whatever else goes wrong is told, with what helps", page, async () => {
    // What would take a cluster and hours is answered in the server's place.
    const ago = (seconds) => new Date(Date.now() - seconds * 1000).toISOString();
    const queue = { ready: 0, running: 0, waiting: 0, dead: 0, oldest_ready_seconds: 0, arrivals_per_second: 0, completions_per_second: 0, work_seconds: 0, workers: 1, slots: 2, drain_seconds: 0, paused: false, unplaceable: [] };
    const worker = { id: "w", version: "1", queues: ["image"], capabilities: [], cpu: 2, memory_bytes: 4e9, started_at: ago(9000), seen_at: ago(1), tasks: [] };
    const task = { id: "t", asset: ids["valley.jpg"] ?? "none", operation: "video.encode", started_at: ago(5000) };
    const answers = {
      "**/v1/queues": { queues: [
        { ...queue, queue: "image", ready: 5120, oldest_ready_seconds: 400, arrivals_per_second: 9, completions_per_second: 4, drain_seconds: 900 },
        { ...queue, queue: "video", ready: 12, oldest_ready_seconds: 700, unplaceable: [{ reason: "no_worker.capability", needs: ["av1"], tasks: 12 }] },
        { ...queue, queue: "network" },
      ] },
      "**/v1/workers": { workers: [
        { ...worker, id: "a", name: "farm-1:7", state: "working", tasks: [task] },
        { ...worker, id: "b", name: "farm-2:7", state: "gone", seen_at: ago(90), tasks: [{ ...task, id: "u" }] },
      ] },
      "**/readyz": { status: "not_ready", checks: { store: { ok: true, reason: null }, disk: { ok: false, reason: "400 MB are free, and 512 MiB must be" }, "service.sweeper": { ok: false, reason: "its last round failed" } } },
    };
    for (const [path, json] of Object.entries(answers)) await page.route(path, (route) => route.fulfill({ json }));
    await page.to("/upload");
    await page.to("/");
    for (const text of [
      "12 video tasks that no worker can take",
      "no living worker has what it needs: av1",
      "The image queue is behind: 5,120 tasks wait",
      "9.0/s come, 4.0/s are done by 1 worker with 2 slots; it grows: add workers",
      "The worker farm-2:7 is gone with 1 task",
      "One attempt of video.encode takes long",
      "The disk is nearly full",
      "The background service sweeper fails",
    ]) await see(page, text);
    await look(page, "now-troubles");
    for (const path of Object.keys(answers)) await page.unroute(path);
  });

  await step("assets are found as one types, chosen and acted on", page, async () => {
    await page.to("/assets");
    await page.getByRole("listitem").nth(11).waitFor();
    await page.waitForTimeout(600);
    await look(page, "assets");
    await page.keyboard.press("/");
    await page.waitForTimeout(300);
    await page.keyboard.type("beach");
    await see(page, "6 assets");
    const boxes = page.getByRole("list", { name: "Assets" }).getByRole("checkbox");
    await boxes.nth(0).click();
    await boxes.nth(3).click({ modifiers: ["Shift"] });
    const third = (await page.getByRole("article").nth(2).getByRole("link").getAttribute("href")).split("/").at(-1);
    await see(page, "4 assets chosen");
    await page.getByRole("button", { name: "Process again…" }).click();
    await page.getByRole("dialog").getByText("4 assets get a new generation: 32 tasks").waitFor();
    await look(page, "assets-preview");
    await page.getByRole("button", { name: "Process again: 4" }).click();
    await server.until(third, (asset) => asset.generation === 2 && asset.published_generation === 2);
    await page.getByLabel("Choose beach-6.jpg").click();
    await page.getByRole("button", { name: "Delete…" }).click();
    await see(page, "This cannot be taken back.");
    await page.getByRole("button", { name: "Delete: 1" }).click();
    await see(page, "5 assets");
    await page.getByLabel("State").selectOption("failed");
    await see(page, "Nothing fits.");
    await page.getByRole("button", { name: "Clear" }).click();
    await see(page, "11 assets");
  });

  await step("a picture shows what was made and how", page, async () => {
    await page.to(`/assets/${ids["valley.jpg"]}`);
    await page.getByRole("region", { name: "Work" }).getByRole("button", { name: /^compress/ }).first().click();
    await see(page, "attempt 1");
    // What went well is not replayed: the whole asset is, and it is told before what that does.
    await page.getByRole("region", { name: "Step compress" }).getByRole("button", { name: "Process the asset again…" }).click();
    await page.getByRole("dialog").getByText("1 asset gets a new generation: 8 tasks").waitFor();
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("button", { name: /^Show large as avif/ }).click();
    await see(page, "large.avif");
    await page.getByRole("region", { name: "History" }).getByText("Generation 1 is complete and published").waitFor();
    await page.waitForTimeout(500);
    await look(page, "picture");
    await page.screenshot({ path: join(out, "picture-whole.png"), fullPage: true });
    await page.getByLabel("Which events").selectOption("failures");
    await see(page, "Nothing fits.");
  });

  await step("a film plays, changes quality, and shows where one goes", page, async () => {
    await page.to(`/assets/${ids["film.mp4"]}`);
    const player = page.getByRole("region", { name: "Player" });
    await player.getByRole("button", { name: "Play" }).click();
    await page.waitForFunction(() => document.querySelector("video").currentTime > 0.5);
    await player.getByLabel("Quality").selectOption({ index: 1 });
    const scrub = await player.locator(".scrub").boundingBox();
    await page.mouse.move(scrub.x + scrub.width * 0.7, scrub.y + 5);
    await player.locator(".tile").waitFor();
    await page.waitForTimeout(700);
    await look(page, "film");
    await page.mouse.click(scrub.x + scrub.width * 0.9, scrub.y + scrub.height / 2);
    await page.waitForFunction(() => document.querySelector("video").currentTime > 7.5);
    await page.waitForFunction(() => document.querySelector("video").ended, undefined, { timeout: 30_000 });
    await page.screenshot({ path: join(out, "film-whole.png"), fullPage: true });
  });

  await step("captions are shown", page, async () => {
    await page.to("/");
    await page.to(`/assets/${ids["film.mp4"]}`);
    const player = page.getByRole("region", { name: "Player" });
    await player.getByLabel("Captions").selectOption("en");
    await player.getByRole("button", { name: "Play" }).click();
    await page.waitForFunction(() => Array.from(document.querySelector("video").textTracks).some((t) => t.mode === "showing" && t.activeCues?.[0]?.text === "Hello there"));
    await page.screenshot({ path: join(out, "film-captions.png") });
  });

  await step("a sound shows its wave and plays", page, async () => {
    await page.to(`/assets/${ids["tone.flac"]}`);
    await page.locator(".wave rect").nth(100).waitFor();
    await page.getByRole("button", { name: "Play", exact: true }).click();
    await page.waitForFunction(() => document.querySelector("video").currentTime > 1);
    await look(page, "sound");
  });

  await step("what failed shows why, and is tried again from its step", page, async () => {
    await page.to(`/assets/${ids["broken.jpg"]}`);
    await page.getByRole("region", { name: /^Step resize/ }).waitFor();
    await page.locator("pre.error").first().waitFor();
    await look(page, "failed");
    const work = page.getByRole("region", { name: "Work" });
    // What waits for it, and what came before it, offer the same.
    await work.getByRole("button", { name: /^publish/ }).first().click();
    await see(page, "It was not begun, because resize failed for good.");
    await work.getByRole("button", { name: "Try resize again, and what follows" }).waitFor();
    await page.screenshot({ path: join(out, "failed-follower.png") });
    await work.getByRole("button", { name: /^moderate/ }).first().click();
    await work.getByRole("button", { name: "Try what failed after it again: resize" }).click();
    await see(page, "1 task of resize tried again");
    await work.getByRole("button", { name: /^resize/ }).first().click();
    await see(page, "attempt 3");
    await work.getByRole("button", { name: "Try it again, and what follows" }).waitFor();
  });

  await step("dead letters are grouped, opened and replayed", page, async () => {
    for (let n = 0; n < 3; n++) await server.upload(Buffer.concat([readFileSync(media("broken.jpg")), Buffer.from([n])]), `damaged-${n}.jpg`);
    await page.to("/dead");
    await page.getByRole("region", { name: "Groups" }).getByRole("cell", { name: "4", exact: true }).waitFor();
    // Of a code that many operations have, those of this one are asked for.
    const asked = page.waitForRequest((request) => request.url().includes("/v1/tasks?") && request.url().includes("operation=image.resize"));
    await page.getByRole("button", { name: /^input\./ }).first().click();
    await asked;
    await see(page, "One of them, opened");
    await page.locator("pre.error").first().waitFor();
    await look(page, "dead");
    await page.getByRole("button", { name: "Replay these 4…" }).click();
    await see(page, "will fail again, unless something has changed since");
    await page.getByRole("button", { name: "Replay 4", exact: true }).click();
    await see(page, "4 tasks replayed");
  });

  await step("recipes are drawn", page, async () => {
    await page.to("/recipes");
    await page.getByRole("region", { name: "Recipe video" }).getByRole("button", { name: /^encode/ }).click();
    await see(page, "video.encode");
    await look(page, "recipes");
    // One's own is checked before it is used.
    const recipe = readFileSync(new URL("../recipes/image.toml", import.meta.url), "utf8");
    const check = page.getByRole("region", { name: "Check a recipe" });
    page.quiet = true;
    await check.getByLabel("The file").fill(recipe.replace("jpeg_quality", "jpg_quality"));
    await check.getByRole("button", { name: "Check it" }).click();
    await check.getByText(/^line \d+, step "resize": unknown field `jpg_quality`/).waitFor();
    page.quiet = false;
    await check.getByLabel("Choose a file").setInputFiles({ name: "shop.toml", mimeType: "application/toml", buffer: Buffer.from(recipe.replace('name = "image"', 'name = "shop"')) });
    await see(check, "The recipe shop, version 1, is right: 8 steps.");
    await check.getByRole("button", { name: /^compress/ }).waitFor();
    await look(page, "recipes-checked");
  });

  await stockAndSettings(server, page);

  await step("a phone has everything", page, async () => {
    const phone = await open(server, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 });
    for (const [name, path, wait] of [
      ["now", "/", "What happens"],
      ["assets", "/assets", "assets"],
      ["film", `/assets/${ids["film.mp4"]}`, "Renditions"],
      ["dead", "/dead", "Dead letters"],
      ["upload", "/upload", "Drop files"],
      ["workers", "/workers", "working"],
      ["storage", "/storage", "What it is"],
      ["outlets", "/outlets", "Events for other systems"],
      ["webhooks", "/webhooks", "There is no webhook yet"],
      ["keys", "/keys", "New key…"],
      ["settings", "/settings", "[limits.upload]"],
    ]) {
      await phone.to(path);
      await see(phone, wait);
      await phone.waitForTimeout(700);
      const wide = await phone.evaluate(() => document.documentElement.scrollWidth);
      const widest = () => Array.from(document.querySelectorAll("body *"), (e) => [Math.round(e.getBoundingClientRect().right), e.tagName, e.className]).filter(([right]) => right > 391);
      if (wide > 391) throw new Error(`${name} is ${wide} pixels wide: ${JSON.stringify((await phone.evaluate(widest)).slice(0, 8))}`);
      await phone.screenshot({ path: join(out, `phone-${name}.png`) });
    }
    await phone.getByRole("button", { name: "Colours: auto" }).click();
    await phone.getByRole("button", { name: "Colours: dark" }).waitFor();
    page.noise.push(...phone.noise);
    await phone.context().close();
  });

  await step("a server that is slow is waited for, and one that hangs is told", page, async () => {
    // Each answer takes longer than the time until it would be asked for again.
    await page.route("**/v1/queues", async (route) => {
      await new Promise((go) => setTimeout(go, 3000));
      await route.continue().catch(() => undefined);
    });
    await page.to("/recipes");
    await page.to("/");
    await see(page, "oldest ready");
    await page.unroute("**/v1/queues");
    page.quiet = true;
    server.process.kill("SIGSTOP");
    await see(page, "The server has not answered for");
    await see(page, "○ not connected");
    server.process.kill("SIGCONT");
    await page.getByText("The server has not answered for").waitFor({ state: "detached" });
    await see(page, "● live");
    page.quiet = false;
  });

  await step("the server goes away and comes back", page, async () => {
    await page.to("/");
    await see(page, "● live");
    page.quiet = true;
    await server.stop();
    await see(page, "The server has not answered for");
    await page.screenshot({ path: join(out, "lost.png") });
    await server.start();
    await page.getByText("The server has not answered for").waitFor({ state: "detached" });
    await see(page, "● live");
    page.quiet = false;
    const id = await server.upload(readFileSync(media("holiday/beach-1.jpg")), "after.jpg");
    await page.locator(`a[href="#/assets/${id}"]`).first().waitFor();
    await server.until(id, (asset) => asset.state === "ready");
  });

  await page.context().close();
  await server.stop("SIGTERM");
}

async function lockedServer() {
  const config = join(folder, "review.toml");
  writeFileSync(config, '[moderation]\npolicy = "review"\n');
  const server = new Served(binary, join(folder, "locked"), config);
  server.token = server.key("admin");
  const moderator = server.key("read,moderate");
  const reader = server.key("read");
  await server.start();
  const page = await open(server);

  await step("signing in: a wrong key, then a right one that scripts cannot see", page, async () => {
    page.quiet = true;
    await page.to("/");
    await page.getByLabel("API key").fill("mf_wrong");
    await page.getByRole("button", { name: "Sign in" }).click();
    await see(page, "This key is not known");
    page.quiet = false;
    page.noise.splice(0);
    await look(page, "sign-in");
    await page.getByLabel("API key").fill(reader);
    await page.getByRole("button", { name: "Sign in" }).click();
    await see(page, "All is well");
    if ((await page.evaluate(() => document.cookie)).includes("mf_")) throw new Error("scripts see the key");
    await page.reload();
    await see(page, "All is well");
  });

  await step("only what the key may do is shown", page, async () => {
    const names = await page.getByRole("navigation").getByRole("listitem").allTextContents();
    if (names.join() !== "Now,Assets,Dead letters,Recipes") throw new Error(names.join());
    await page.to("/workers");
    await see(page, "There is nothing here");
    const id = await server.upload(readFileSync(media("badge.png")), "badge.png");
    await page.to(`/assets/${id}`);
    await see(page, "Nothing is made before somebody has decided.");
    if (await page.getByRole("button", { name: /Delete|Process again/ }).count()) throw new Error("it may not delete");
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("API key").waitFor();
  });

  await keys(server, page);

  await step("review goes by keys, and can be taken back", page, async () => {
    for (const name of readdirSync(media("holiday")).sort()) await server.upload(readFileSync(media(join("holiday", name))), name);
    await page.getByLabel("API key").fill(moderator);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.to("/review");
    await see(page, "7 assets to decide");
    await page.getByRole("region", { name: "To decide" }).getByRole("link", { name: "badge.png" }).waitFor();
    await page.locator(".stage img").waitFor();
    await look(page, "review");
    await page.keyboard.press("x");
    await see(page, "6 assets to decide");
    await page.keyboard.press("z");
    await see(page, "7 assets to decide");
    await page.keyboard.press("a");
    await page.keyboard.press("x");
    await page.keyboard.press("s");
    await see(page, "1 skipped");
    await see(page, "held back");
    await page.screenshot({ path: join(out, "review-held.png") });
    const all = await server.json("/v1/assets?limit=50");
    const id = (name) => all.items.find((one) => one.original.filename === name).id;
    await server.until(id("badge.png"), (asset) => asset.state === "ready");
    const rejected = await server.until(id("beach-1.jpg"), (asset) => asset.state === "rejected");
    if (rejected.moderation.decided_by !== "read and moderate") throw new Error(JSON.stringify(rejected.moderation));
    await see(page, "by read and moderate");
  });

  await step("a film is reviewed by its frames", page, async () => {
    await server.upload(readFileSync(media("film.mp4")), "film.mp4");
    await page.to("/review");
    const frames = page.getByRole("group", { name: "Frames" }).getByRole("button");
    await see(page, "5 assets to decide, 1 skipped");
    for (let n = 0; n < 4; n++) await page.keyboard.press("s");
    await see(page, "1 asset to decide, 5 skipped");
    await frames.nth(7).waitFor();
    await frames.nth(3).click();
    const length = (await page.locator(".stage video").evaluate((film) => film.duration)) / 16;
    await page.waitForFunction((at) => Math.abs(document.querySelector(".stage video").currentTime - at) < 0.1, length * 7);
    await look(page, "review-film");
  });

  await page.context().close();
  await server.stop("SIGTERM");
}

if (!process.env.SKIP_OPEN) await openServer();
if (!process.env.SKIP_LOCKED) await lockedServer();
if (!process.env.SKIP_OUTLETS) await outlets();
if (!process.env.SKIP_WEBHOOKS) await webhooks();
await finish();
