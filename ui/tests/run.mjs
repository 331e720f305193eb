// Runs the tests of this folder with Node's own test runner; Vite, which builds the dashboard, makes its TypeScript readable.
import { readdirSync } from "node:fs";
import { before } from "node:test";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createServer } from "vite";

const here = dirname(fileURLToPath(import.meta.url));
const vite = await createServer({ root: join(here, ".."), appType: "custom", logLevel: "error", server: { middlewareMode: true, ws: false, watch: null } });
// Tests put clocks and requests of their own in place of what Vite uses too: none begins before all are loaded.
let loaded;
before(() => new Promise((go) => (loaded = go)));
for (const name of readdirSync(here).filter((name) => name.endsWith(".test.ts")).sort()) await vite.ssrLoadModule(`/tests/${name}`);
await vite.close();
loaded();
