// What operators do in the dashboard: keys, settings, storage, and who outside is told.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { binary, folder, look, media, open, see, step } from "./hands.mjs";
import { Served } from "./served.mjs";

/** On the server that needs no keys, when assets are there: one deleted, two with the same bytes. */
export async function stockAndSettings(server, page) {
  await step("storage tells what is kept, saved and about to go", page, async () => {
    await server.upload(readFileSync(media("badge.png")), "badge-again.png");
    await page.to("/storage");
    await see(page, "because equal files are stored once");
    const tiles = page.getByRole("region", { name: "In short" });
    const { stock } = await server.json("/v1/storage");
    if (!stock.saved_bytes || !stock.unreferenced.bytes) throw new Error(JSON.stringify(stock));
    await tiles.getByText(`${stock.stored.files.toLocaleString("en")} files, each once`).waitFor();
    await tiles.getByText(/nobody needs it any more/).waitFor();
    const table = page.getByRole("region", { name: "What it is" });
    for (const name of ["originals", "renditions", "streams of films and sounds", "captions"]) await table.getByText(name, { exact: true }).waitFor();
    await look(page, "storage");
    await table.getByRole("button", { name: "audio" }).click();
    await table.getByText("audio/flac").waitFor();
    if (await table.getByText("image/jpeg").count()) throw new Error("a sound is no picture");
  });

  await step("a count that takes long, and one that fails, are told", page, async () => {
    const empty = { stock: null, counting: { assets: 120_500 }, free_bytes: 1e9, free_bytes_min: 5e8, unreferenced_s: 3600 };
    await page.route("**/v1/storage", (route) => route.fulfill({ json: empty }));
    await page.to("/");
    await page.to("/storage");
    await see(page, "Counting: about 120,500 assets so far");
    await see(page, "for the first time since the server's start");
    await look(page, "storage-counting");
    await page.unroute("**/v1/storage");
    page.quiet = true;
    await page.route("**/v1/storage", (route) => route.fulfill({ status: 503, json: { code: "store.unavailable", detail: "The database did not answer." } }));
    await page.to("/");
    await page.to("/storage");
    await see(page, "The database did not answer.");
    await page.unroute("**/v1/storage");
    await page.getByRole("button", { name: "Try again" }).click();
    await see(page, "because equal files are stored once");
    page.quiet = false;
  });

  await step("settings say where they come from, and are found", page, async () => {
    await page.to("/settings");
    const configuration = page.getByRole("region", { name: "Configuration" });
    await configuration.getByText("[limits.upload]").waitFor();
    await look(page, "settings");
    await configuration.getByLabel("Search settings").fill("largest original");
    await configuration.getByText("1 setting.").waitFor();
    await configuration.getByText("(4.29 GB)").waitFor();
    await configuration.getByLabel("Search settings").fill("");
    await configuration.getByLabel("only what was set").check();
    // Where the server listens and keeps its data was said by flags.
    await configuration.getByText("2 settings.").waitFor();
    if ((await configuration.getByText("flag or environment").count()) !== 2) throw new Error("two flags were given");
    await configuration.getByLabel("Search settings").fill("nothing like it");
    await see(page, "No setting fits.");
  });

  await step("where nobody outside is told, it says how to", page, async () => {
    await page.to("/outlets");
    await see(page, "set events.to and restart");
    await see(page, "There is no CDN to tell.");
    await look(page, "outlets-off");
  });

  await step("an open server tells what a first key changes", page, async () => {
    await page.to("/keys");
    await see(page, "This server needs no keys");
    await see(page, "There is no key.");
    await look(page, "keys-none");
  });
}

/** On the server that needs a key; `server.token` is an admin's. Nobody is signed in. */
export async function keys(server, page) {
  const signIn = async (key) => {
    await page.getByLabel("API key").fill(key);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("navigation").waitFor();
  };
  const signOut = async () => {
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("API key").waitFor();
  };
  const places = async () => (await page.getByRole("navigation").getByRole("listitem").allTextContents()).map((text) => text.replace(/[0-9+]+$/, "")).join();

  await step("a key is made, shown once, used, limited and revoked", page, async () => {
    await signIn(server.token);
    if ((await places()) !== "Now,Assets,Upload,Review,Dead letters,Workers,Recipes,Storage,Events out,Webhooks,Keys,Settings") throw new Error(await places());
    await page.keyboard.press("g");
    await page.keyboard.press("k");
    await page.getByRole("heading", { name: "Keys" }).waitFor();
    await page.getByRole("button", { name: "New key…" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name").fill("shop");
    await dialog.getByRole("checkbox", { name: /^ingest/ }).check();
    await dialog.getByText("Limits of its uploads").click();
    await dialog.getByLabel("Largest file").fill("huge");
    await dialog.getByRole("button", { name: "Make it" }).click();
    await dialog.getByText("The largest file must be a number").waitFor();
    await dialog.getByLabel("Largest file").fill("5 MB");
    await dialog.getByLabel("Types").fill("image/*");
    await dialog.getByLabel("Files a day").fill("100");
    await look(page, "keys-new");
    await dialog.getByRole("button", { name: "Make it" }).click();
    const key = await dialog.getByLabel("The key").inputValue();
    await look(page, "keys-made");
    await dialog.getByRole("button", { name: "Done" }).click();
    const asShop = (path, options = {}) => fetch(server.base + path, { ...options, headers: { Authorization: `Bearer ${key}` } });
    if ((await asShop("/v1/assets")).status !== 200) throw new Error("it does not work");
    if ((await asShop("/v1/keys")).status !== 403) throw new Error("it may too much");
    const row = page.getByRole("row").filter({ hasText: "shop" });
    await row.getByText("files up to 5 MB; only image/*; 100 files a day").waitFor();
    await row.getByText("ingest, read").waitFor();
    await look(page, "keys");
    if (await page.getByLabel("The key").count()) throw new Error("the secret is still there");
    await row.getByRole("button", { name: "Limits…" }).click();
    await dialog.getByLabel("Types").fill("");
    await dialog.getByLabel("Largest file").fill("1 GB");
    await dialog.getByRole("button", { name: "Set them" }).click();
    await row.getByText("files up to 1 GB; 100 files a day").waitFor();
    await row.getByRole("button", { name: "Revoke…" }).click();
    await dialog.getByText("Whoever uses it is refused within a second.").waitFor();
    await dialog.getByRole("button", { name: "Revoke it" }).click();
    await row.waitFor({ state: "detached" });
    await page.getByRole("button", { name: "revoked", exact: true }).click();
    await row.getByText("revoked", { exact: true }).waitFor();
    await page.waitForTimeout(1100);
    if ((await asShop("/v1/assets")).status !== 401) throw new Error("it still works");
    await page.getByRole("button", { name: "live", exact: true }).click();
    await page.getByRole("row").filter({ hasText: "you" }).getByText("admin").first().waitFor();
  });

  await step("a tenant's admin has its own keys, and nothing that concerns all", page, async () => {
    const headers = { "Content-Type": "application/json" };
    const tenant = (await server.json("/v1/tenants", { method: "POST", headers, body: JSON.stringify({ name: "Gallery" }) })).id;
    await page.reload();
    await page.getByLabel("Tenant").selectOption("Gallery");
    await see(page, "There is no key.");
    const made = await server.json("/v1/keys", { method: "POST", headers, body: JSON.stringify({ name: "gallery", scopes: ["admin"], tenant }) });
    await signOut();
    await signIn(made.key);
    if ((await places()) !== "Now,Assets,Upload,Review,Dead letters,Recipes,Webhooks,Keys") throw new Error(await places());
    for (const path of ["/settings", "/storage", "/outlets", "/workers"]) {
      await page.to(path);
      await see(page, "There is nothing here");
    }
    await page.to("/keys");
    await page.getByRole("row").filter({ hasText: "gallery" }).getByText("you").waitFor();
    if (await page.getByLabel("Tenant").count()) throw new Error("others' keys are not its to see");
    await page.getByRole("row").filter({ hasText: "gallery" }).getByRole("button", { name: "Revoke…" }).click();
    await see(page, "you will be signed out");
    page.quiet = true;
    await page.getByRole("button", { name: "Revoke it" }).click();
    await page.getByLabel("API key").waitFor();
    await page.waitForTimeout(300);
    page.quiet = false;
  });
}

/** A server whose systems outside are not there. */
export async function outlets() {
  const config = join(folder, "outlets.toml");
  writeFileSync(config, '[events]\nto = "redis://ann:sesame@127.0.0.1:1"\n[cdn]\ndriver = "http"\nurl = "http://127.0.0.1:1"\npurge_token = "sesame"\n');
  const server = await new Served(binary, join(folder, "outlets"), config).start();
  const page = await open(server);

  await step("events that nobody takes and a cache that does not forget say why", page, async () => {
    const id = await server.upload(readFileSync(media("badge.png")), "badge.png");
    await server.until(id, (asset) => asset.viewable);
    await server.json(`/v1/assets/${id}`, { method: "DELETE" });
    await page.to("/outlets");
    const events = page.getByRole("region", { name: "Events for other systems" });
    await events.getByText("failing").waitFor();
    await events.getByText(/^[0-9]+ events, the oldest for/).waitFor();
    await events.getByText("redis://ann@127.0.0.1:1").waitFor();
    await events.getByText("nothing is left out").waitFor();
    const cache = page.getByRole("region", { name: "What caches must forget" });
    await cache.getByText("failing").waitFor();
    await cache.getByText(/1 purge, tried (in|now).*1 of them was tried in vain/).waitFor();
    await cache.locator("pre", { hasText: "did not answer" }).waitFor();
    await look(page, "outlets");
  });

  await step("no secret is in the settings", page, async () => {
    await page.to("/settings?changed=yes");
    const configuration = page.getByRole("region", { name: "Configuration" });
    await configuration.getByText("(secret)").waitFor();
    await configuration.getByText("redis://ann@127.0.0.1:1").waitFor();
    if ((await page.content()).includes("sesame")) throw new Error("it is");
    if (JSON.stringify(await server.json("/v1/settings")).includes("sesame")) throw new Error("it is in the answer");
    await look(page, "settings-set");
  });

  await page.context().close();
  await server.stop("SIGTERM");
}
