// Who uses the dashboard, and what that one may do.

import { get, post, Refused, remove, type Session, Unreachable, unknown } from "./api/client.ts";
import { hangUp } from "./live/events.svelte.ts";

export const session = $state({
  /** Not known before the first answer; null when a key is needed. */
  who: undefined as Session | null | undefined,
  error: "",
});

let again: ReturnType<typeof setTimeout> | undefined;
export async function recognise(): Promise<void> {
  try {
    session.who = await get("/v1/session");
    session.error = "";
  } catch (error) {
    if (error instanceof Unreachable) return;
    // Its database does not answer, say: that tells nothing about the key.
    if (error instanceof Refused && error.status >= 500) {
      session.error = error.message;
      again ??= setTimeout(() => {
        again = undefined;
        void recognise();
      }, 3000);
      return;
    }
    session.who = null;
    session.error = error instanceof Refused && error.code === "auth.invalid" ? "The key that this browser kept does not work any more." : "";
  }
}

export async function signIn(key: string): Promise<void> {
  session.who = await post("/v1/session", { body: { key } });
  session.error = "";
}

export async function signOut(): Promise<void> {
  await remove("/v1/session");
  hangUp();
  session.who = null;
}

export function may(scope: string): boolean {
  return session.who?.scopes.includes(scope) ?? false;
}

unknown.told = () => {
  if (!session.who) return;
  hangUp();
  session.who = null;
  session.error = "The key does not work any more: it was revoked, or the server needs one since its start.";
};
