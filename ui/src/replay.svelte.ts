// Doing again what failed, some at a time, so that one sees how far it is and can stop.

import { post } from "./api/client.ts";
import { attempt, say } from "./notices.svelte.ts";
import { many } from "./words.ts";

const STEP = 100;

export const replaying = $state({ what: "", done: 0, total: 0, stopping: false });

/** Does `step` until it says that nothing is left, or somebody stops it. Nothing begins while another is under way. */
async function repeat(what: string, total: number, step: () => Promise<{ did: number; more: boolean }>): Promise<number> {
  Object.assign(replaying, { what, done: 0, total, stopping: false });
  await attempt("It ended early", async () => {
    for (let more = true; more && !replaying.stopping; ) {
      const one = await step();
      replaying.done += one.did;
      // Some counts end at a number, and meanwhile there may be more.
      replaying.total = Math.max(replaying.total, replaying.done);
      more = one.more;
    }
  });
  replaying.what = "";
  return replaying.done;
}

export async function replayGroup(filter: { code?: string; operation?: string }, total: number): Promise<void> {
  if (replaying.what) return;
  const what = [filter.operation, filter.code].filter(Boolean).join(", ") || "all dead tasks";
  const done = await repeat(`Replaying ${what}`, total, async () => {
    const { replayed } = await post("/v1/tasks/replay", { body: { ...filter, limit: STEP } });
    // What is replayed and dies at once again is not replayed for ever.
    return { did: replayed, more: replayed === STEP && replaying.done + replayed < Math.max(total, STEP) };
  });
  say(`${many(done, "task")} replayed`);
}

/** Every delivery of a webhook that failed for good, again with all its attempts. */
export async function redeliverFailed(id: string, name: string, total: number): Promise<void> {
  if (replaying.what) return;
  const done = await repeat(`Sending again what failed to ${name}`, total, async () => {
    const { count, more } = await post("/v1/webhooks/{id}/redeliver", { path: { id }, body: { state: "failed" } });
    return { did: count, more: more && count > 0 };
  });
  say(`${many(done, "delivery", "deliveries")} sent again`);
}
