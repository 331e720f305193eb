// Answers of the API that a component shows and keeps fresh.

import { untrack } from "svelte";
import { Refused, Unreachable } from "../api/client.ts";
import { connection } from "./connection.svelte.ts";

export class Watched<T> {
  value = $state.raw<T>();
  error = $state.raw<Refused>();
  /** Before the first answer. */
  loading = $state(true);
  #ask: (signal: AbortSignal) => Promise<T>;
  #under?: AbortController;

  /** Asks now, each `every` milliseconds while the page is looked at, and when the server came back. What `ask` reads reactively makes it ask anew. */
  constructor(ask: (signal: AbortSignal) => Promise<T>, every?: number) {
    this.#ask = ask;
    $effect(() => {
      void connection.epoch;
      void this.refresh();
      const timer = every && setInterval(() => document.visibilityState === "visible" && void this.renew(), every);
      return () => {
        clearInterval(timer || undefined);
        this.#under?.abort();
      };
    });
  }

  async refresh(): Promise<void> {
    untrack(() => this.#under)?.abort();
    const under = new AbortController();
    this.#under = under;
    try {
      const value = await this.#ask(under.signal);
      if (under.signal.aborted) return;
      this.value = value;
      this.error = undefined;
    } catch (error) {
      if (under.signal.aborted) return;
      if (error instanceof Refused) this.error = error;
      else if (!(error instanceof Unreachable)) throw error;
    } finally {
      if (this.#under === under) this.#under = undefined;
    }
    this.loading = false;
  }

  /** Asks, unless an answer is under way: one that takes longer than the time until it is asked for again would never come. */
  async renew(): Promise<void> {
    if (!this.#under) await this.refresh();
  }
}

/** The time, each second. */
export const clock = $state({ now: Date.now() });
setInterval(() => (clock.now = Date.now()), 1000);
