// What is said in passing: what was done, what went wrong, and how to take it back.

import { Refused } from "./api/client.ts";

export interface Notice {
  id: number;
  text: string;
  bad: boolean;
  action?: { label: string; run: () => void };
}

export const notices = $state<Notice[]>([]);
let next = 0;

export function say(text: string, options: { bad?: boolean; action?: Notice["action"]; ms?: number } = {}): number {
  const id = next++;
  notices.push({ id, text, bad: options.bad ?? false, action: options.action });
  setTimeout(() => unsay(id), options.ms ?? (options.bad ? 12_000 : 5000));
  return id;
}

export function unsay(id: number): void {
  const at = notices.findIndex((notice) => notice.id === id);
  if (at >= 0) notices.splice(at, 1);
}

/** Does something that the user pressed for, and says so when it fails. */
export async function attempt<T>(what: string, act: () => Promise<T>): Promise<T | undefined> {
  try {
    return await act();
  } catch (error) {
    const why = error instanceof Refused ? `${error.message} (${error.code})` : error instanceof Error ? error.message : String(error);
    say(`${what}: ${why}`, { bad: true });
    return undefined;
  }
}
