// Replaying dead tasks a hundred at a time, so that one sees how far it is and can stop.

import { post } from "./api/client.ts";
import { attempt, say } from "./notices.svelte.ts";
import { many } from "./words.ts";

const STEP = 100;

export const replaying = $state({ what: "", done: 0, total: 0, stopping: false });

export async function replayGroup(filter: { code?: string; operation?: string }, total: number): Promise<void> {
  if (replaying.what) return;
  replaying.what = [filter.operation, filter.code].filter(Boolean).join(", ") || "all dead tasks";
  replaying.done = 0;
  replaying.total = total;
  replaying.stopping = false;
  await attempt("They could not all be replayed", async () => {
    for (;;) {
      const { replayed } = await post("/v1/tasks/replay", { body: { ...filter, limit: STEP } });
      replaying.done += replayed;
      // What is replayed and dies at once again is not replayed for ever.
      if (replayed < STEP || replaying.done >= Math.max(total, STEP) || replaying.stopping) break;
    }
  });
  say(`${many(replaying.done, "task")} replayed`);
  replaying.what = "";
}
