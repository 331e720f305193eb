// Webhooks in the dashboard, with a receiver that is really there: it checks signatures itself, and refuses what it is told to refuse.
import { execFileSync } from "node:child_process";
import { createHmac, timingSafeEqual } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { binary, folder, look, media, open, out, see, step } from "./hands.mjs";
import { Served } from "./served.mjs";

/** As the Standard Webhooks specification has it, written from that and not from the server's code. */
function signedWith(secret, headers, body) {
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const own = createHmac("sha256", key).update(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`).digest();
  return headers["webhook-signature"].split(" ").some((one) => {
    const [version, text] = one.split(",");
    const theirs = Buffer.from(text ?? "", "base64");
    return version === "v1" && theirs.length === own.length && timingSafeEqual(theirs, own);
  });
}

class Receiver {
  had = [];
  answer = { status: 200, text: "thanks" };

  async start() {
    this.server = createServer(async (request, response) => {
      let body = "";
      for await (const part of request) body += part;
      this.had.push({ method: request.method, headers: request.headers, body, event: JSON.parse(body) });
      response.writeHead(this.answer.status, { "Content-Type": "text/plain" }).end(this.answer.text);
    });
    await new Promise((go) => this.server.listen(0, "127.0.0.1", go));
    this.host = `127.0.0.1:${this.server.address().port}`;
    return this;
  }

  /** The first request that fits, waited for. */
  async until(fits, patience_ms = 30_000) {
    for (const end = Date.now() + patience_ms; Date.now() < end; await new Promise((go) => setTimeout(go, 50))) {
      const found = this.had.find(fits);
      if (found) return found;
    }
    throw new Error(`nothing of the kind came: ${this.had.map((one) => one.event.type)}`);
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

const of = (type, subject) => (one) => one.event.type === type && (!subject || one.event.subject === subject);

export async function webhooks() {
  const config = join(folder, "webhooks.toml");
  writeFileSync(config, '[webhooks]\nallow = ["127.0.0.0/8"]\n');
  const server = await new Served(binary, join(folder, "webhooks"), config).start();
  const receiver = await new Receiver().start();
  const page = await open(server, { permissions: ["clipboard-read", "clipboard-write"] });
  const dialog = page.getByRole("dialog");
  const card = page.getByRole("region", { name: `Webhook ${receiver.host}` });
  const deliveries = page.getByRole("region", { name: "Deliveries", exact: true });
  let secret;
  let photo;

  await step("without a webhook it says what they are for", page, async () => {
    await page.to("/");
    await see(page, "All is well");
    await page.keyboard.press("g");
    await page.keyboard.press("h");
    await see(page, "There is no webhook yet");
    await see(page, "at the moment that it happens");
    await look(page, "webhooks-none");
  });

  await step("a webhook is made for some events, and its secret is shown once", page, async () => {
    await page.getByRole("button", { name: "Make the first one…" }).click();
    await dialog.getByLabel("Address").fill(`http://${receiver.host}/in`);
    await dialog.getByLabel("Description").fill("The shop");
    await dialog.getByRole("radio", { name: "only some" }).check();
    await dialog.getByRole("button", { name: "Make it" }).click();
    await dialog.getByText("Choose at least one event.").waitFor();
    await dialog.getByRole("checkbox", { name: "asset.*" }).check();
    await dialog.getByRole("checkbox", { name: "asset.updated" }).uncheck();
    if (await dialog.getByRole("checkbox", { name: "asset.*" }).isChecked()) throw new Error("it is not all of them any more");
    await dialog.getByRole("checkbox", { name: "task.dead" }).check();
    if (await dialog.getByRole("alert").count()) throw new Error("what was wrong is still said");
    await look(page, "webhooks-new");
    await dialog.getByRole("button", { name: "Make it" }).click();
    secret = await dialog.getByLabel("The secret").inputValue();
    if (!/^whsec_[A-Za-z0-9+/]{32,}=*$/.test(secret)) throw new Error("this is no secret");
    await look(page, "webhooks-made");
    await dialog.getByRole("button", { name: "Copy" }).click();
    await dialog.getByRole("button", { name: "Copied" }).waitFor();
    if ((await page.evaluate(() => navigator.clipboard.readText())) !== secret) throw new Error("something else was copied");
    await dialog.getByRole("button", { name: "Done" }).click();
    await card.getByText("The shop").waitFor();
    await card.getByText("asset.accepted, asset.reprocessing").waitFor();
    if ((await page.content()).includes(secret)) throw new Error("the secret is still there");
    if (JSON.stringify(await server.json("/v1/webhooks")).includes(secret)) throw new Error("it is told again");
  });

  await step("what cannot be an address is refused in words", page, async () => {
    page.quiet = true;
    await page.getByRole("button", { name: "New webhook…" }).click();
    await dialog.getByLabel("Address").fill("ftp://shop.example.com/in");
    await dialog.getByRole("button", { name: "Make it" }).click();
    await dialog.getByRole("alert").waitFor();
    await page.screenshot({ path: join(out, "webhooks-refused.png") });
    await dialog.getByRole("button", { name: "Cancel" }).click();
    page.quiet = false;
  });

  await step("a test is sent, signed, and its answer shown", page, async () => {
    await card.getByRole("button", { name: "Send a test" }).click();
    await dialog.getByText(/^It arrived: it answered 200, after/).waitFor();
    await dialog.getByText("thanks").waitFor();
    const test = await receiver.until(of("webhook.test"));
    if (test.method !== "POST" || test.headers["content-type"] !== "application/cloudevents+json") throw new Error(JSON.stringify(test.headers));
    if (!signedWith(secret, test.headers, test.body)) throw new Error("the signature is wrong");
    if (signedWith(secret, test.headers, `${test.body} `)) throw new Error("the receiver takes anything");
    receiver.answer = { status: 500, text: "the database of the shop is away" };
    await dialog.getByRole("button", { name: "Send another" }).click();
    await dialog.getByText(/^It did not arrive: it answered 500/).waitFor();
    await dialog.getByText("the database of the shop is away").waitFor();
    await look(page, "webhooks-test");
    await dialog.getByRole("button", { name: "Close" }).last().click();
  });

  await step("what the receiver refuses waits, and says why and when it is tried", page, async () => {
    photo = await server.upload(readFileSync(media("badge.png")), "badge.png");
    await server.until(photo, (asset) => asset.state === "ready");
    await receiver.until(of("asset.ready", photo));
    await card.getByText("failing").waitFor();
    await card.getByText(/^Nothing has arrived for/).waitFor();
    await card.locator("pre", { hasText: "500" }).waitFor();
    await look(page, "webhooks-failing");
    await page.to("/");
    await see(page, `The webhook to ${receiver.host} fails`);
    await see(page, /500.*wait for it, and are tried again by themselves/);
    await look(page, "webhooks-now");
    await page.getByRole("link", { name: "Look" }).click();
    await deliveries.getByRole("button", { name: /asset\.ready/ }).click();
    // The second try comes after five seconds, the third after minutes.
    await deliveries.getByText("2 attempts").last().waitFor();
    await deliveries.getByText(/next try in \d+ min/).last().waitFor();
    await deliveries.getByText("the database of the shop is away").first().waitFor();
    await deliveries.getByLabel("Body").getByText(photo).waitFor();
    await look(page, "webhooks-deliveries");
  });

  await step("one is sent again by hand, under the same id, and it is well", page, async () => {
    receiver.answer = { status: 204, text: "" };
    await deliveries.getByRole("button", { name: "Send it again" }).click();
    await deliveries.getByText(/^it answered 204, after/).first().waitFor();
    await deliveries.getByRole("button", { name: /asset\.ready.*delivered/ }).waitFor();
    const tries = receiver.had.filter(of("asset.ready", photo));
    if (tries.length < 3) throw new Error(`${tries.length} tries`);
    if (new Set(tries.map((one) => one.headers["webhook-id"])).size !== 1) throw new Error("each try has another id");
    if (!tries.every((one) => one.headers["webhook-id"] === one.event.id && signedWith(secret, one.headers, one.body))) throw new Error("one is not signed");
    await card.getByText("on", { exact: true }).waitFor();
    await page.to("/");
    await see(page, "All is well");
  });

  await step("deliveries are found by state, page by page", page, async () => {
    await page.to("/webhooks");
    await card.getByRole("button", { name: "Edit…" }).click();
    await dialog.getByRole("radio", { name: "every event" }).check();
    await dialog.getByRole("button", { name: "Change it" }).click();
    await card.getByText("every event").waitFor();
    for (const name of readdirSync(media("holiday"))) await server.upload(readFileSync(join(media("holiday"), name)), name);
    const all = await server.json("/v1/assets?limit=50");
    for (const { id } of all.items) await server.until(id, (asset) => asset.state === "ready");
    for (const { id } of all.items) await receiver.until(of("asset.ready", id));
    await card.getByRole("link", { name: /delivered$/ }).click();
    const rows = deliveries.getByRole("list").getByRole("button", { name: /delivered/ });
    await rows.nth(49).waitFor();
    if ((await rows.count()) !== 50) throw new Error(`${await rows.count()} on the first page`);
    await deliveries.getByRole("button", { name: "More" }).click();
    await rows.nth(50).waitFor();
    await deliveries.getByRole("button", { name: "failed", exact: true }).click();
    await deliveries.getByText("Nothing is failed.").waitFor();
  });

  await step("a new secret signs beside the old one", page, async () => {
    await card.getByRole("button", { name: "New secret…" }).click();
    await dialog.getByRole("button", { name: "Make a new secret" }).click();
    const fresh = await dialog.getByLabel("The secret").inputValue();
    await dialog.getByRole("button", { name: "Done" }).click();
    if (fresh === secret) throw new Error("it is the old one");
    receiver.had = [];
    await card.getByRole("button", { name: "Send a test" }).click();
    await dialog.getByText(/^It arrived/).waitFor();
    const test = await receiver.until(of("webhook.test"));
    if (![fresh, secret].every((one) => signedWith(one, test.headers, test.body))) throw new Error("both must sign");
    await dialog.getByRole("button", { name: "Close" }).last().click();
  });

  await step("one that is off is sent nothing, and goes on when it is on", page, async () => {
    await card.getByRole("button", { name: "Switch off…" }).click();
    await dialog.getByText("From now on nothing is sent to it.").waitFor();
    await dialog.getByRole("button", { name: "Switch off" }).click();
    await card.getByText("Somebody switched it off.").waitFor();
    receiver.had = [];
    const unheard = await server.upload(readFileSync(media("valley.jpg")), "unheard.jpg");
    await server.until(unheard, (asset) => asset.state === "ready");
    await card.getByRole("button", { name: "Switch on" }).click();
    await card.getByText("on", { exact: true }).waitFor();
    await server.json(`/v1/assets/${unheard}`, { method: "DELETE" });
    await receiver.until(of("asset.deleted", unheard));
    if (receiver.had.some(of("asset.accepted", unheard))) throw new Error("it was sent what happened while it was off");
  });

  await step("a receiver that is gone ends it, and what waits is sent when it is on again", page, async () => {
    receiver.answer = { status: 410, text: "nobody lives here" };
    const last = await server.upload(readFileSync(media("badge.png")), "last.png");
    await card.getByText("The receiver answered 410 Gone").waitFor();
    await server.until(last, (asset) => asset.state === "ready");
    await page.to("/");
    await see(page, `The webhook to ${receiver.host} switched itself off`);
    await page.getByRole("link", { name: "Look" }).click();
    await deliveries.getByText("waits until the webhook is on").first().waitFor();
    await look(page, "webhooks-gone");
    receiver.answer = { status: 200, text: "" };
    receiver.had = [];
    await card.getByRole("button", { name: "Switch on" }).click();
    await card.getByText("on", { exact: true }).waitFor();
    await receiver.until(of("asset.accepted", last));
  });

  await step("what failed for days is sent again all at once", page, async () => {
    receiver.answer = { status: 500, text: "the database of the shop is away" };
    const last = await server.upload(readFileSync(media("badge.png")), "late.png");
    await server.until(last, (asset) => asset.state === "ready");
    await receiver.until(of("asset.ready", last));
    await card.getByText("failing").waitFor();
    // Three days go by: the next attempt is the last one.
    page.quiet = true;
    await server.stop("SIGTERM");
    const database = join(folder, "webhooks", "mediaflow.db");
    execFileSync("python3", ["-c", "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute(\"UPDATE webhook_deliveries SET run = 9, due_at = 1 WHERE state = 'waiting'\"); db.commit()", database]);
    await server.start();
    await card.getByRole("link", { name: /[1-9]\d* failed/ }).waitFor();
    page.quiet = false;
    receiver.answer = { status: 200, text: "" };
    receiver.had = [];
    await card.getByRole("link", { name: /[1-9]\d* failed/ }).click();
    await deliveries.getByRole("button", { name: /asset\.ready.*failed/ }).click();
    await deliveries.getByText("It is not tried again by itself.").waitFor();
    await look(page, "webhooks-failed");
    await deliveries.getByRole("button", { name: "Send all failed again…" }).click();
    await dialog.getByRole("button", { name: /^Send \d+ again/ }).click();
    await see(page, /\d+ deliver(y|ies) sent again/);
    await card.getByRole("link", { name: "0 failed" }).waitFor();
    await receiver.until(of("asset.accepted", last));
  });

  await step("a phone shows webhooks and deliveries", page, async () => {
    const phone = await open(server, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 });
    await phone.to("/webhooks");
    await see(phone, "The shop");
    await phone.waitForTimeout(500);
    await phone.screenshot({ path: join(out, "phone-webhooks-one.png") });
    await phone.getByRole("link", { name: "Deliveries" }).click();
    await phone.getByRole("list").getByRole("button", { name: /asset\.ready/ }).first().click();
    await see(phone, "What is sent");
    await phone.waitForTimeout(500);
    await phone.screenshot({ path: join(out, "phone-deliveries.png"), fullPage: true });
    if ((await phone.evaluate(() => document.documentElement.scrollWidth)) > 391) throw new Error("it is too wide");
    page.noise.push(...phone.noise);
    await phone.context().close();
  });

  await step("a webhook is deleted", page, async () => {
    await page.to("/webhooks");
    await card.getByRole("button", { name: "Delete…" }).click();
    await dialog.getByText("This cannot be taken back.").waitFor();
    await dialog.getByRole("button", { name: "Delete it" }).click();
    await see(page, "There is no webhook yet");
  });

  await page.context().close();
  receiver.stop();
  await server.stop("SIGTERM");
}
