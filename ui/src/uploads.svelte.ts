// Uploads of this page, also while another screen is shown.

import { type Asset, get } from "./api/client.ts";
import { follow } from "./live/events.svelte.ts";
import { may } from "./session.svelte.ts";
import { send } from "./tus.ts";
import { lasting } from "./words.ts";

const AT_ONCE = 3;

export class Upload {
  sent = $state(0);
  state = $state<"queued" | "sending" | "done" | "refused" | "stopped">("queued");
  said = $state("");
  asset = $state.raw<Asset>();
  #stop = new AbortController();

  constructor(
    readonly id: number,
    readonly file: File,
    readonly options: Record<string, string>,
  ) {}

  async run(): Promise<void> {
    this.state = "sending";
    try {
      const asset = await send({
        file: this.file,
        said: this.options,
        progress: (bytes) => {
          this.sent = bytes;
          this.said = "";
        },
        waiting: (why, seconds) => (this.said = `${why}; the upload goes on in ${lasting(seconds)}`),
        signal: this.#stop.signal,
      });
      this.sent = this.file.size;
      this.state = "done";
      this.said = "";
      this.#watch(asset);
    } catch (error) {
      this.state = this.#stop.signal.aborted ? "stopped" : "refused";
      this.said = error instanceof Error && !this.#stop.signal.aborted ? error.message : "";
    }
  }

  stop(): void {
    this.#stop.abort();
    if (this.state === "queued") this.state = "stopped";
  }

  /** Shows what becomes of it until that is certain. */
  #watch(id: string): void {
    if (!may("read")) return;
    let due: ReturnType<typeof setTimeout> | undefined;
    const look = async () => {
      due = undefined;
      try {
        this.asset = await get("/v1/assets/{id}", { path: { id } });
        if (["ready", "failed", "rejected", "deleted"].includes(this.asset.state)) end();
      } catch {
        // The next event asks again.
      }
    };
    const end = follow((event) => {
      if (event.subject === id) due ??= setTimeout(look, 300);
    });
    void look();
  }
}

export const uploads = $state<{ all: Upload[] }>({ all: [] });
let next = 0;

export function add(files: File[], options: Record<string, string>): void {
  uploads.all = [...files.map((file) => new Upload(next++, file, options)), ...uploads.all];
  for (let i = 0; i < AT_ONCE; i++) void work();
}

async function work(): Promise<void> {
  if (uploads.all.filter((one) => one.state === "sending").length >= AT_ONCE) return;
  const one = uploads.all.findLast((upload) => upload.state === "queued");
  if (!one) return;
  await one.run();
  void work();
}

/** Files of what was dropped, folders with all that is in them. */
export async function dropped(items: DataTransferItemList): Promise<File[]> {
  const entries = Array.from(items, (item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  const files: File[] = [];
  async function walk(entry: FileSystemEntry): Promise<void> {
    if (entry.name.startsWith(".")) return;
    if (entry.isFile) {
      files.push(await new Promise<File>((take, fail) => (entry as FileSystemFileEntry).file(take, fail)));
      return;
    }
    const reader = (entry as FileSystemDirectoryEntry).createReader();
    for (;;) {
      const some = await new Promise<FileSystemEntry[]>((take, fail) => reader.readEntries(take, fail));
      if (!some.length) return;
      for (const one of some) await walk(one);
    }
  }
  for (const entry of entries) await walk(entry);
  return files;
}
