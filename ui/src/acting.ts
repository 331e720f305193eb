// What can be done to many assets at once, and what that will do, told before.

import { type AssetItem, get, type Graph, post, Refused, remove } from "./api/client.ts";

export type Deed = "reprocess" | "replay" | "delete";

export interface Preview {
  lines: string[];
  /** Assets that it will be done to; others are left as they are. */
  targets: AssetItem[];
}

export interface Outcome {
  done: number;
  refused: { asset: AssetItem; why: string }[];
}

export function suited(deed: Deed, assets: AssetItem[]): AssetItem[] {
  return assets.filter((asset) => asset.state !== "deleted" && (deed === "delete" || asset.state !== "rejected"));
}

/** Tasks that a run has at least: films and recordings are cut into more. */
export function tasks(assets: AssetItem[], recipes: Graph[], recipe: string): { tasks: number; more: boolean } {
  let sum = 0;
  let more = false;
  for (const asset of assets) {
    const graph = recipes.find((r) => r.name === (recipe || asset.kind));
    sum += graph?.steps.length ?? 0;
    more ||= asset.kind !== "image";
  }
  return { tasks: sum, more };
}

const AT_ONCE = 4;

export async function act(deed: Deed, targets: AssetItem[], recipe: string, progress: (done: number) => void, stopped: () => boolean): Promise<Outcome> {
  const outcome: Outcome = { done: 0, refused: [] };
  const left = [...targets];
  async function work(): Promise<void> {
    for (let asset = left.shift(); asset && !stopped(); asset = left.shift()) {
      try {
        await one(deed, asset, recipe);
        outcome.done += 1;
      } catch (error) {
        outcome.refused.push({ asset, why: error instanceof Refused ? error.message : String(error) });
      }
      progress(outcome.done + outcome.refused.length);
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return outcome;
}

async function one(deed: Deed, asset: AssetItem, recipe: string): Promise<void> {
  const path = { id: asset.id };
  if (deed === "delete") return remove("/v1/assets/{id}", { path });
  if (deed === "reprocess") {
    await post("/v1/assets/{id}/reprocess", { path, body: recipe ? { recipe } : {} });
    return;
  }
  const dead = await get("/v1/assets/{id}/tasks", { path, query: { state: "dead", limit: 200 } });
  for (const task of dead.items) await post("/v1/tasks/{id}/replay", { path: { id: task.id } });
}
