// A person at the dashboard in Chromium. What a step says is what a person could see; console errors, refused content,
// requests to other hosts and what axe calls serious fail the step in which they appear.
import axe from "axe-core";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

export const [binary, folder, out] = process.argv.slice(2);
const only = process.env.ONLY?.split(",");
export const media = (name) => join(folder, "media", name);
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"] });

let failures = 0;
const say = (ok, what) => {
  if (!ok) failures += 1;
  console.log(`  ${ok ? "ok  " : "FAIL"} ${what}`);
};

/** A page that notes everything that should not be. */
export async function open(server, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1360, height: 900 }, ...options });
  if (process.env.DIST) await beside(context, server);
  const page = await context.newPage();
  page.noise = [];
  page.quiet = false;
  page.on("console", (m) => m.type() === "error" && !page.quiet && !m.text().startsWith("Failed to load resource") && page.noise.push(m.text()));
  page.on("response", (answer) => answer.status() >= 400 && !page.quiet && page.noise.push(`${answer.status()} ${answer.url()}`));
  page.on("pageerror", (error) => page.noise.push(`${error.message} ${error.stack?.split("\n")[1] ?? ""}`));
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (/^https?:$/.test(url.protocol) && url.origin !== server.base) page.noise.push(`asks ${url.origin}`);
  });
  page.setDefaultTimeout(30_000);
  page.to = async (path) => {
    await page.goto(`${server.base}/#${path}`);
  };
  return page;
}

/** DIST=ui/dist shows what was built there in place of what is in the binary, under the same policy. */
async function beside(context, server) {
  const { headers } = await fetch(server.base, { headers: { Accept: "text/html" } });
  const policy = { "content-security-policy": headers.get("content-security-policy").replace(/media-src [^;]*/, "media-src 'self' blob: data:") };
  const types = { html: "text/html; charset=utf-8", js: "text/javascript", css: "text/css", svg: "image/svg+xml" };
  const file = (name) => ({ body: readFileSync(join(process.env.DIST, name)), contentType: types[name.split(".").at(-1)] });
  await context.route(`${server.base}/`, (route) => route.fulfill({ ...file("index.html"), headers: policy }));
  await context.route(`${server.base}/ui/*`, (route) => route.fulfill(file(new URL(route.request().url()).pathname.slice(4))));
}

export async function step(name, page, act) {
  if (only && !only.some((one) => name.startsWith(one))) return;
  try {
    await act();
    const noise = page.noise.splice(0);
    say(noise.length === 0, `${name}${noise.length ? `: ${noise.join("; ")}` : ""}`);
  } catch (error) {
    page.noise.splice(0);
    say(false, `${name}: ${error.message.split("\n").slice(0, 6).join(" | ")}`);
    await page.screenshot({ path: join(out, `failed-${name.replace(/\W+/g, "-")}.png`) }).catch(() => undefined);
  }
}

/** Takes a picture, and has axe look, in light and dark. */
export async function look(page, name) {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.waitForTimeout(150);
    await page.screenshot({ path: join(out, `${name}-${colorScheme}.png`) });
    // Outside of the page's own policy, which lets no script in.
    await page.evaluate(axe.source);
    const found = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
    const serious = found.violations.filter((v) => ["serious", "critical"].includes(v.impact));
    const text = serious.map((v) => `${v.id} ${v.nodes.slice(0, 3).map((n) => `${n.target.join(" ")} ${n.any[0]?.message ?? ""}`).join(", ")}`).join("; ");
    if (serious.length) throw new Error(`axe (${colorScheme}): ${text}`);
  }
  await page.emulateMedia({ colorScheme: "light" });
}

export const see = (page, text, options = {}) => page.getByText(text, options).first().waitFor();

/** Says how it went, and ends. */
export async function finish() {
  await browser.close();
  console.log(failures ? `${failures} failed; screenshots are in ${out}` : `all well; screenshots are in ${out}`);
  process.exit(failures ? 1 : 0);
}
