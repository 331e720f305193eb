// Uppy in a page of another site, in Chromium: uploads over tus with a token that was minted for it, in chunks, and is refused
// without one. Prints what each became.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const [base, key, photo] = process.argv.slice(2);
const PAGE = "http://shop.test/";
const UPPY = readFileSync(createRequire(import.meta.url).resolve("uppy/dist/uppy.min.js"), "utf8");
const authorization = { Authorization: `Bearer ${key}` };
const content = readFileSync(photo);

async function mint(terms) {
  const headers = { ...authorization, "Content-Type": "application/json" };
  const answer = await fetch(`${base}/v1/upload-tokens`, { method: "POST", headers, body: JSON.stringify(terms) });
  if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`);
  return (await answer.json()).token;
}

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: [
    "--no-sandbox",
    // Chromium asks a person before a page of the world may talk to loopback.
    "--disable-features=LocalNetworkAccessChecks",
] });
const page = await browser.newPage();
await page.route(`${PAGE}**`, (route) => route.fulfill({ contentType: "text/html", body: "<!doctype html><title>shop</title>" }));
await page.goto(PAGE);
await page.addScriptTag({ content: UPPY });

// Runs in the page: answers what the server said last, and whether Uppy is content.
const upload = ({ endpoint, token, bytes }) =>
  new Promise((done) => {
    let asset;
    const { Uppy: Core, Tus } = window.Uppy;
    const uppy = new Core().use(Tus, {
      endpoint,
      chunkSize: 60_000,
      retryDelays: [],
      // Else the same file would be found to be there already.
      storeFingerprintForResuming: false,
      headers: { Authorization: `Bearer ${token}` },
      onAfterResponse: (_, answer) => { asset = answer.getHeader("Mediaflow-Asset") ?? asset; },
    });
    uppy.on("complete", ({ failed }) => done({ asset, error: failed[0]?.error }));
    const data = Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0));
    uppy.addFile({ name: "photo.jpg", type: "image/jpeg", data: new Blob([data], { type: "image/jpeg" }) });
    uppy.upload();
  });

const endpoint = `${base}/v1/tus`;
const bytes = content.toString("base64");
const terms = { types: ["image/*"], bytes_max: content.length, origin: new URL(PAGE).origin, title: "From Uppy", visibility: "private" };
const token = await mint(terms);
const { asset, error } = await page.evaluate(upload, { endpoint, token, bytes });
if (error || !asset) throw new Error(`Uppy: ${error}`);
const found = await (await fetch(base + asset, { headers: authorization })).json();
const sha256 = createHash("sha256").update(content).digest("hex");
if (found.original.sha256 !== sha256 || found.title !== "From Uppy" || found.visibility !== "private") throw new Error(JSON.stringify(found));
console.log(`with a token: ${asset}`);

for (const [name, wrong] of [
  ["a token that was used", token],
  ["a token for another site", await mint({ ...terms, origin: "https://other.test" })],
  ["a token for smaller files", await mint({ ...terms, bytes_max: 10 })],
  ["no token", "mfu_none"],
]) {
  const refused = await page.evaluate(upload, { endpoint, token: wrong, bytes });
  if (!refused.error) throw new Error(`${name} was taken: ${refused.asset}`);
  console.log(`${name}: refused`);
}
await browser.close();
