import { svelte } from "@sveltejs/vite-plugin-svelte";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

// The binary hands these out as they are; what does not get smaller is left alone.
function packed(): Plugin {
  return {
    name: "packed",
    apply: "build",
    closeBundle() {
      for (const name of readdirSync("dist")) {
        const file = join("dist", name);
        const bytes = readFileSync(file);
        const brotli = brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } });
        if (brotli.length < bytes.length * 0.9) {
          writeFileSync(`${file}.br`, brotli);
          writeFileSync(`${file}.gz`, gzipSync(bytes, { level: 9 }));
        }
      }
    },
  };
}

// `npm run dev` shows changes at once, beside a server that runs: MEDIAFLOW=http://127.0.0.1:8080 npm run dev.
const server = process.env.MEDIAFLOW ?? "http://127.0.0.1:8080";
const passed = Object.fromEntries(["/v1", "/media", "/readyz", "/healthz", "/openapi.json"].map((path) => [path, server]));

export default defineConfig(({ command }) => ({
  base: command === "build" ? "/ui/" : "/",
  plugins: [svelte(), packed()],
  build: { assetsDir: "", target: "es2022", modulePreload: { polyfill: false }, assetsInlineLimit: 0, chunkSizeWarningLimit: 700, rolldownOptions: { checks: { pluginTimings: false } } },
  server: { proxy: passed },
}));
