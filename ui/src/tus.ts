// Uploads that survive a break: the tus protocol 1.0.0, as much of it as a browser needs.

import { Refused } from "./api/client.ts";

const VERSION = { "Tus-Resumable": "1.0.0" };
const KEPT = "mediaflow.upload.";
/** Parts of this size: a proxy that holds a request back holds no more. */
const PART = 64 * 1024 * 1024;
const TRIES_S = [1, 2, 4, 8, 15, 30];

export interface Sending {
  file: File;
  said: Record<string, string>;
  progress: (bytes: number) => void;
  /** Something went wrong that may pass: what, and when it is tried again. */
  waiting: (why: string, seconds: number) => void;
  signal: AbortSignal;
}

const base64 = (text: string) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
const kept = (file: File) => `${KEPT}${file.name}:${file.size}:${file.lastModified}`;

/** Sends a file and answers its asset's id. Goes on where an earlier try of the same file ended, also after the page was closed. */
export async function send(sending: Sending): Promise<string> {
  const { file, signal } = sending;
  let address = localStorage.getItem(kept(file));
  let tries = 0;
  for (;;) {
    try {
      let offset = 0;
      if (address) {
        const asked = await fetch(address, { method: "HEAD", headers: VERSION, signal });
        if (asked.ok) {
          const asset = asked.headers.get("Mediaflow-Asset");
          if (asset) return done(file, asset);
          offset = Number(asked.headers.get("Upload-Offset"));
        } else if (asked.status >= 500) throw refused(asked.status, "");
        else address = null;
      }
      if (!address) {
        address = await open(sending);
        localStorage.setItem(kept(file), address);
      }
      for (;;) {
        const answer = await part(address, file.slice(offset, offset + PART), offset, sending);
        tries = 0;
        if (answer.asset) return done(file, answer.asset);
        offset = answer.offset;
        if (offset >= file.size) throw new TypeError("the upload is whole, and its asset is not told yet");
      }
    } catch (error) {
      if (signal.aborted) {
        // Given up by hand: the server need not keep it.
        if (address) void fetch(address, { method: "DELETE", headers: VERSION }).catch(() => undefined);
        localStorage.removeItem(kept(file));
        throw error;
      }
      const lasting = error instanceof Refused && error.status < 500 && ![408, 409, 423, 429].includes(error.status);
      if (lasting) {
        localStorage.removeItem(kept(file));
        throw error;
      }
      const pause = TRIES_S[Math.min(tries++, TRIES_S.length - 1)]!;
      sending.waiting(error instanceof Refused ? error.message : "the connection broke", pause);
      await new Promise((go) => {
        setTimeout(go, pause * 1000);
        signal.addEventListener("abort", go, { once: true });
      });
    }
  }
}

function done(file: File, asset: string): string {
  localStorage.removeItem(kept(file));
  // `/v1/assets/{id}`
  return asset.split("/").at(-1)!;
}

async function open({ file, said, signal }: Sending): Promise<string> {
  const pairs = Object.entries({ filename: file.name, ...said }).filter(([, value]) => value);
  const answer = await fetch("/v1/tus", {
    method: "POST",
    headers: { ...VERSION, "Upload-Length": String(file.size), "Upload-Metadata": pairs.map(([name, value]) => `${name} ${base64(value)}`).join(",") },
    signal,
  });
  if (!answer.ok) throw refused(answer.status, await answer.text());
  const to = new URL(answer.headers.get("Location") ?? "", location.href);
  return to.pathname + to.search;
}

// Only XMLHttpRequest tells how much of a body is gone.
function part(address: string, bytes: Blob, offset: number, { progress, signal }: Sending): Promise<{ offset: number; asset: string | null }> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PATCH", address);
    for (const [name, value] of Object.entries({ ...VERSION, "Upload-Offset": String(offset), "Content-Type": "application/offset+octet-stream" })) request.setRequestHeader(name, value);
    const stop = () => request.abort();
    signal.addEventListener("abort", stop);
    request.upload.onprogress = (event) => progress(offset + event.loaded);
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) resolve({ offset: Number(request.getResponseHeader("Upload-Offset") ?? offset + bytes.size), asset: request.getResponseHeader("Mediaflow-Asset") });
      else reject(refused(request.status, request.responseText));
    };
    request.onerror = () => reject(new TypeError("the connection broke"));
    request.onabort = () => reject(new DOMException("given up", "AbortError"));
    request.onloadend = () => signal.removeEventListener("abort", stop);
    request.send(bytes);
  });
}

function refused(status: number, text: string): Refused {
  let said: { code?: string; detail?: string; correlation_id?: string } = {};
  try {
    said = JSON.parse(text);
  } catch {
    // Not ours: a proxy's page, say.
  }
  return new Refused(status, said.code ?? "unknown", said.detail ?? `the server answered ${status}`, said.correlation_id ?? "");
}
