// One stream of events for all screens. It goes on where it was after a break.

import type { CloudEvent } from "../api/client.ts";
import { connection, doubt, heard } from "./connection.svelte.ts";

type Listener = (event: CloudEvent) => void;

export const stream = $state({ open: false });

const listeners = new Set<Listener>();
let source: EventSource | undefined;
let last = "latest";

let again: ReturnType<typeof setTimeout> | undefined;

function reconnect(): void {
  again = undefined;
  if (source) connect();
}

function connect(): void {
  source = new EventSource(`/v1/events?after=${last}`);
  source.onopen = () => {
    stream.open = true;
    heard();
  };
  source.onmessage = (message) => {
    last = message.lastEventId;
    const event = JSON.parse(message.data) as CloudEvent;
    for (const listener of listeners) listener(event);
  };
  source.onerror = () => {
    stream.open = false;
    void doubt();
    // After an answer that is no stream, as a proxy gives one, browsers do not come back by themselves.
    if (source?.readyState === EventSource.CLOSED) again ??= setTimeout(reconnect, 3000);
  };
}

/** Begins to listen; answers what ends it. */
export function follow(listener: Listener): () => void {
  listeners.add(listener);
  if (!source) connect();
  return () => listeners.delete(listener);
}

export function hangUp(): void {
  source?.close();
  source = undefined;
  last = "latest";
  stream.open = false;
}

// Browsers open six connections to a server: pages that nobody looks at give theirs back after a while.
const UNSEEN_MS = 30_000;
let leaving: ReturnType<typeof setTimeout> | undefined;
document.addEventListener("visibilitychange", () => {
  clearTimeout(leaving);
  if (document.visibilityState === "hidden") {
    leaving = setTimeout(() => {
      source?.close();
      stream.open = false;
    }, UNSEEN_MS);
  } else if (source?.readyState === EventSource.CLOSED && !again) {
    // What happened meanwhile is in what is asked for anew.
    last = "latest";
    connect();
    connection.epoch += 1;
  }
});
