// Plays each file in Chromium from the addresses in its asset's JSON; fails when a player complains, when a moment
// cannot be reached, or when a validator that others wrote finds something.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, join } from "node:path";
import { chromium } from "playwright-core";

const [base, out, ...files] = process.argv.slice(2);
const require = createRequire(import.meta.url);
const HLS_JS = readFileSync(require.resolve("hls.js/dist/hls.min.js"), "utf8");
const SHAKA = readFileSync(require.resolve("shaka-player/dist/shaka-player.compiled.js"), "utf8");
const DOCTOR = new URL("../.tools/bin/media-doctor", import.meta.url).pathname;
// A page of another site: what it may fetch is CORS's business.
const PAGE = "http://player.test/";
const PATIENCE_MS = 240_000;

let failures = 0;
const say = (ok, what) => {
  if (!ok) failures += 1;
  console.log(`  ${ok ? "ok  " : "FAIL"} ${what}`);
};

const json = async (path) => {
  const answer = await fetch(new URL(path, base));
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
};

async function upload(file, recipe) {
  const name = encodeURIComponent(basename(file));
  const answer = await fetch(`${base}/v1/assets?filename=${name}${recipe ? `&recipe=${recipe}` : ""}`, { method: "POST", body: readFileSync(file) });
  if (answer.status !== 202) throw new Error(`${file}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()).id;
}

async function until(id, test) {
  const end = Date.now() + PATIENCE_MS;
  while (Date.now() < end) {
    const asset = await json(`/v1/assets/${id}`);
    if (test(asset)) return asset;
    if (asset.state === "failed") throw new Error(`${id}: ${asset.error.code} ${asset.error.message}`);
    await new Promise((go) => setTimeout(go, 200));
  }
  throw new Error(`${id}: it takes too long`);
}

// Runs in the page: begins playing and answers what the player knows.
const BEGIN = {
  native: (url) =>
    new Promise((done, fail) => {
      const video = document.querySelector("video");
      if (!video.canPlayType("application/vnd.apple.mpegurl")) return done(null);
      video.onerror = () => fail(new Error(`${video.error.code} ${video.error.message}`));
      video.onloadedmetadata = () => done({ duration: video.duration });
      video.src = url;
    }),
  "hls.js": (url) =>
    new Promise((done, fail) => {
      const video = document.querySelector("video");
      const hls = new Hls({ enableWorker: false });
      globalThis.complaints = [];
      hls.on(Hls.Events.ERROR, (_, e) => {
        // A seek gives up what is on its way. Of the first segment in MPEG-TS hls.js 1.7 says that nothing grew, and has it
        // whole; it says so of the same pictures as ffmpeg wraps them, too.
        const idle = e.details === "bufferAppendNoProgress" && e.frag.sn === 0 && e.frag.url.endsWith(".ts");
        if (e.details !== "aborted" && !idle) globalThis.complaints.push(`${e.details} ${e.parent ?? ""} ${e.frag?.sn ?? ""}`);
        if (e.fatal) fail(new Error(`${e.type} ${e.details} ${e.reason ?? ""}`));
      });
      hls.on(Hls.Events.MANIFEST_PARSED, (_, m) => {
        globalThis.levels = m.levels.length;
      });
      video.onloadedmetadata = () => done({ levels: globalThis.levels, duration: video.duration });
      hls.loadSource(url);
      hls.attachMedia(video);
      globalThis.hls = hls;
    }),
  shaka: async (url) => {
    shaka.polyfill.installAll();
    const player = new shaka.Player();
    await player.attach(document.querySelector("video"));
    globalThis.complaints = [];
    player.addEventListener("error", (e) => globalThis.complaints.push(`${e.detail.code} ${e.detail.data}`));
    try {
      await player.load(url);
    } catch (e) {
      throw new Error(`shaka ${e.category} ${e.code} ${e.data}`);
    }
    return { levels: player.getVariantTracks().length, duration: document.querySelector("video").duration };
  },
};

// Runs in the page: goes to `time` and plays on for `seconds`; answers where it came and what is shown.
const visit = ([time, seconds]) =>
  new Promise((done, fail) => {
    const video = document.querySelector("video");
    const began = Date.now();
    video.currentTime = time;
    video.play().catch(fail);
    const look = () => {
      if (video.error) return fail(new Error(`${video.error.code} ${video.error.message}`));
      if (video.currentTime >= time + seconds || video.ended) {
        video.pause();
        const { width, height } = video.getBoundingClientRect();
        return done({ at: video.currentTime, picture: [video.videoWidth, video.videoHeight], box: [width, height] });
      }
      if (Date.now() - began > 60_000) {
        const ranges = [...Array(video.buffered.length).keys()].map((n) => [video.buffered.start(n), video.buffered.end(n)]);
        return fail(new Error(`stuck at ${video.currentTime}, buffered ${JSON.stringify(ranges)}`));
      }
      setTimeout(look, 50);
    };
    look();
  });

async function open(browser, player, url) {
  const page = await browser.newPage({ viewport: { width: 960, height: 600 } });
  const noise = [];
  page.on("console", (m) => m.type() === "error" && noise.push(m.text()));
  page.on("requestfailed", (r) => r.failure()?.errorText !== "net::ERR_ABORTED" && noise.push(`${r.url()} ${r.failure()?.errorText}`));
  await page.route(PAGE, (route) =>
    route.fulfill({
      contentType: "text/html",
      body: '<!doctype html><title>player</title><body style="margin:0;background:#222"><video muted controls style="width:960px;height:540px"></video>',
    }),
  );
  await page.goto(PAGE);
  if (player === "hls.js") await page.addScriptTag({ content: HLS_JS });
  if (player === "shaka") await page.addScriptTag({ content: SHAKA });
  return { page, noise, begun: await page.evaluate(BEGIN[player], url) };
}

async function play(browser, asset, player, url, shot) {
  const what = `${player.padEnd(7)} ${shot}`;
  try {
    const { page, noise, begun } = await open(browser, player, url);
    if (!begun) {
      say(true, `${what}: this Chromium does not play HLS natively`);
      return await page.close();
    }
    const seconds = asset.inspected.info.duration_us / 1e6;
    say(Math.abs(begun.duration - seconds) < 0.2, `${what}: lasts ${begun.duration.toFixed(3)} s, the source ${seconds.toFixed(3)} s`);
    // Across each border of segments, and to the very end.
    const borders = [];
    for (let border = 6; border < begun.duration - 0.5; border += 6) borders.push(border);
    let shown = await page.evaluate(visit, [0, 0.5]);
    for (const border of borders) shown = await page.evaluate(visit, [border - 0.3, 0.6]);
    await page.screenshot({ path: join(out, `${shot}-${player}.png`) });
    await page.evaluate(visit, [Math.max(0, begun.duration - 0.5), 10]);
    const ended = await page.evaluate(() => document.querySelector("video").ended);
    const complaints = [...noise, ...((await page.evaluate(() => globalThis.complaints)) ?? [])];
    say(ended && complaints.length === 0, `${what}: ${borders.length} borders, ends; ${shown.picture.join("x")}${begun.levels ? `, ${begun.levels} levels` : ""} ${complaints.join("; ")}`);
    await page.close();
  } catch (error) {
    say(false, `${what}: ${error.message.split("\n")[0]}`);
  }
}

// Begins before the video is finished, and must come to its end without a reload.
async function watch(browser, id, shot) {
  const early = await until(id, (a) => a.playback);
  const { page } = await open(browser, "hls.js", early.playback.hls);
  const reach = () => page.evaluate(() => document.querySelector("video").seekable.end(0));
  const began = { reach: await reach(), at: (await page.evaluate(visit, [0, 0.5])).at };
  const asset = await until(id, (a) => a.state === "ready");
  const seconds = asset.inspected.info.duration_us / 1e6;
  // hls.js asks for a growing playlist each target duration.
  const end = Date.now() + 30_000;
  while (Date.now() < end && (await reach()) < seconds - 0.2) await page.waitForTimeout(200);
  await page.evaluate(visit, [Math.max(0, seconds - 1), 10]);
  const ended = await page.evaluate(() => document.querySelector("video").ended);
  say(ended && began.at < 2, `growing ${shot}: ${began.reach.toFixed(1)} s when it was ${early.state}, begins at the start, goes on to its end`);
  await page.close();
  return asset;
}

// media-doctor (crates.io) judges text and manifest.
async function judge(asset, shot) {
  if (!existsSync(DOCTOR)) throw new Error(`${DOCTOR} is missing: make browser installs it`);
  const master = await (await fetch(asset.playback.hls)).text();
  const names = [...master.matchAll(/^[^#\s].*\.m3u8$|URI="([^"]+\.m3u8)"/gm)].map((m) => m[1] ?? m[0]);
  const all = [asset.playback.hls, ...names.map((n) => new URL(n, asset.playback.hls).href)];
  const checks = all.map((url) => ["check-hls", url]);
  if (asset.playback.dash) checks.push(["check-dash", asset.playback.dash]);
  for (const [command, url] of checks) {
    const file = join(out, "judged.txt");
    writeFileSync(file, await (await fetch(url)).text());
    const report = JSON.parse(execFileSync(DOCTOR, [command, "--json", "-i", file]).toString());
    const found = Array.isArray(report) ? report : (report.findings ?? []);
    say(found.length === 0, `doctor  ${shot}: ${basename(new URL(url).pathname)} ${found.length ? JSON.stringify(found) : ""}`);
  }
}

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: [
    "--no-sandbox",
    "--autoplay-policy=no-user-gesture-required",
    // The server is on this machine, and pages of the world may not ask that without a person.
    "--disable-features=LocalNetworkAccessChecks",
  ] });
for (const file of files) {
  const shot = basename(file).replace(/\W+/g, "-");
  console.log(basename(file));
  const asset = await watch(browser, await upload(file), shot);
  await play(browser, asset, "native", asset.playback.hls, shot);
  await play(browser, asset, "hls.js", asset.playback.hls, shot);
  await play(browser, asset, "shaka", asset.playback.dash, shot);
  await judge(asset, shot);
}
if (/\.(mp4|mkv|webm|mov)$/.test(files[0])) {
  const shot = `${basename(files[0]).replace(/\W+/g, "-")}-mpeg-ts`;
  console.log(`${basename(files[0])} in MPEG-TS`);
  const asset = await watch(browser, await upload(files[0], "old-players"), shot);
  await play(browser, asset, "native", asset.playback.hls, shot);
  await play(browser, asset, "hls.js", asset.playback.hls, shot);
  await judge(asset, shot);
}
await browser.close();
console.log(failures ? `${failures} failed; screenshots are in ${out}` : `all well; screenshots are in ${out}`);
process.exit(failures ? 1 : 0);
