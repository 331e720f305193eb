// tus-js-client, as its users call it, against a running server: in one request, in chunks, with parts in parallel, aborted and
// resumed; with tus and with the IETF's draft. Prints what each became. A length that is said later is left out: for a stream in Node this client announces a whole
// chunk also when less is left.
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { Upload } from "tus-js-client";

const [base, photo] = process.argv.slice(2);
const endpoint = `${base}/v1/tus`;
const content = Buffer.concat([readFileSync(photo), randomBytes(24 << 20)]);

function upload(source, options) {
  return new Promise((resolve, reject) => {
    let asset;
    const upload = new Upload(source, {
      endpoint,
      metadata: { filename: "large.jpg", filetype: "image/jpeg", title: "tus-js-client", album: "7" },
      retryDelays: [0, 100, 500, 1000],
      onAfterResponse: (_, answer) => { asset = answer.getHeader("mediaflow-asset") ?? asset; },
      onError: reject,
      onSuccess: () => resolve(asset),
      ...options,
    });
    options.begun?.(upload, reject);
    upload.start();
  });
}

async function check(name, asset) {
  const found = await (await fetch(base + asset)).json();
  const sha256 = createHash("sha256").update(content).digest("hex");
  if (found.original.sha256 !== sha256) throw new Error(`${name}: ${found.original.sha256} is not ${sha256}`);
  if (found.title !== "tus-js-client" || found.original.filename !== "large.jpg") throw new Error(`${name}: ${JSON.stringify(found)}`);
  console.log(`${name}: ${asset}`);
}

await check("one request", await upload(content, {}));
await check("the first bytes with the first request", await upload(content, { uploadDataDuringCreation: true, chunkSize: 5 << 20 }));
await check("all bytes with the first request", await upload(content, { uploadDataDuringCreation: true }));
await check("chunks", await upload(content, { chunkSize: 3_000_001 }));
await check("parts in parallel", await upload(content, { parallelUploads: 4 }));
await check("method override", await upload(content, { overridePatchMethod: true, chunkSize: 10_000_000 }));

// The IETF's draft, as far as this client has it: its version 5. Its name for the protocol is its own.
const draft = { endpoint: `${base}/v1/assets`, protocol: "ietf-draft-05" };
await check("draft, one request after the first", await upload(content, draft));
await check("draft, chunks", await upload(content, { ...draft, chunkSize: 3_000_001 }));
await check("draft, the first bytes with the first request", await upload(content, { ...draft, uploadDataDuringCreation: true, chunkSize: 5 << 20 }));
await check("draft, all bytes with the first request", await upload(content, { ...draft, uploadDataDuringCreation: true }));

// Aborted in the middle, and gone on with by another object.
async function broken(options) {
  return new Promise((resolve, reject) => {
    const first = new Upload(content, {
      endpoint,
      metadata: { filename: "large.jpg", title: "tus-js-client" },
      chunkSize: 4_000_000,
      onError: reject,
      onChunkComplete: async (_, sent) => {
        if (sent >= 8_000_000) {
          await first.abort();
          resolve(first.url);
        }
      },
      ...options,
    });
    first.start();
  });
}
await check("resumed", await upload(content, { uploadUrl: await broken({}) }));
await check("draft, resumed", await upload(content, { ...draft, uploadUrl: await broken(draft) }));

// Given up.
const gone = await new Promise((resolve, reject) => {
  const first = new Upload(content, {
    endpoint,
    chunkSize: 4_000_000,
    onError: reject,
    onChunkComplete: async () => {
      await first.abort(true);
      resolve(first.url);
    },
  });
  first.start();
});
const head = await fetch(gone, { method: "HEAD", headers: { "Tus-Resumable": "1.0.0" } });
if (head.status !== 404) throw new Error(`terminated, and still ${head.status}`);
console.log("terminated: gone");
