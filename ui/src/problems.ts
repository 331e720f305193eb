// What is wrong, since when, why, and what helps: from what the API tells, most urgent first. Pure.

import type { Failure, Queue, Readiness, Switch, Webhook, Worker } from "./api/client.ts";
import { behind, offSaid, place, standing } from "./webhooks.ts";
import { lasting, many, obstacle, rate } from "./words.ts";

export interface Remedy {
  label: string;
  /** Can be done, and hardly helps: it is not put forward. */
  doubtful?: boolean;
  /** Where to go. */
  to?: string;
  /** What to do. */
  act?: { kind: "switch"; name: string } | { kind: "replay"; code: string; operation: string } | { kind: "resume"; worker: string };
}

export interface Trouble {
  id: string;
  bad: boolean;
  what: string;
  /** RFC 3339. */
  since?: string;
  why: string;
  remedies: Remedy[];
}

export interface Known {
  queues?: Queue[];
  workers?: Worker[];
  switches?: Switch[];
  failures?: Failure[];
  /** What one task of a group said, by the id of its trouble. */
  reasons?: Record<string, string>;
  ready?: Readiness;
  webhooks?: Webhook[];
  now: number;
}

/** Behind by so much is worth a word. */
const BEHIND_S = 120;
/** An attempt of such length is worth a look. */
const LONG_S = 3600;

export function troubles(known: Known): Trouble[] {
  const found = [...unready(known), ...switched(known), ...queued(known), ...worked(known), ...hooked(known), ...failed(known)];
  return found.sort((a, b) => Number(b.bad) - Number(a.bad));
}

interface Part { what: string; bad: boolean; helps: string; remedies: Remedy[] }

/** What `/readyz` looks at: how it is called when it is not well, and what helps. */
const PARTS: Record<string, Part> = {
  store: { what: "The database does not answer", bad: true, helps: "Start it again; nothing is lost, and everything goes on by itself. What stands below is what was known before", remedies: [] },
  disk: { what: "The disk is nearly full", bad: true, helps: "Delete what is not needed or make the disk larger, and it goes on by itself", remedies: [{ label: "What is stored", to: "/storage" }, { label: "Assets", to: "/assets" }] },
  broker: { what: "The broker does not answer", bad: false, helps: "Work goes on, only later by a moment; start it again, and it is used by itself", remedies: [] },
  events: { what: "Events do not reach other systems", bad: false, helps: "They wait, and are told in their order when it goes again", remedies: [{ label: "Events out", to: "/outlets" }] },
};

function unready({ ready }: Known): Trouble[] {
  return Object.entries(ready?.checks ?? {})
    // Without the database no background service does its rounds: that needs to be said once.
    .filter(([name, check]) => !check.ok && (ready?.checks.store?.ok !== false || !name.startsWith("service.")))
    .map(([name, check]) => {
      const service: Part = { what: `The background service ${name.replace("service.", "")} fails`, bad: true, helps: "It is tried again by itself; the server's log says why it fails", remedies: [] };
      const { what, bad, helps, remedies } = PARTS[name] ?? service;
      return { id: `ready.${name}`, bad, what, since: check.since ?? undefined, why: [check.reason, helps].filter(Boolean).join(". "), remedies };
    });
}

function switched({ switches = [], queues = [] }: Known): Trouble[] {
  return switches
    .filter((s) => !s.on)
    .map((s) => {
      const queue = s.name.startsWith("claims.") ? queues.find((q) => q.queue === s.name.slice(7)) : undefined;
      const waits = queue?.ready ?? 0;
      return {
        id: `switch.${s.name}`,
        bad: waits > 0 || s.name === "uploads",
        what: queue ? `${waits ? `${many(waits, `${queue.queue} task`)} wait${waits === 1 ? "s" : ""}: claims are` : `Claims of ${queue.queue} tasks are`} switched off` : "Uploads are switched off",
        since: queue && waits ? before(queue.oldest_ready_seconds) : undefined,
        why: "an operator turned the switch off",
        remedies: [{ label: "Switch on", act: { kind: "switch", name: s.name } }, { label: "Who did?", to: "/settings" }],
      };
    });
}

const before = (seconds: number) => new Date(Date.now() - seconds * 1000).toISOString();

function queued({ queues = [] }: Known): Trouble[] {
  const found: Trouble[] = [];
  for (const queue of queues) {
    const stuck = queue.unplaceable.reduce((sum, one) => sum + one.tasks, 0);
    for (const one of queue.unplaceable.filter((one) => one.reason !== "paused")) {
      found.push({
        id: `stuck.${queue.queue}.${one.reason}.${one.needs.join()}`,
        bad: true,
        what: `${many(one.tasks, `${queue.queue} task`)} that no worker can take`,
        since: before(queue.oldest_ready_seconds),
        why: obstacle(one.reason, one.needs),
        remedies: [{ label: "Workers", to: "/workers" }],
      });
    }
    if (!queue.paused && stuck < queue.ready && queue.oldest_ready_seconds > BEHIND_S) {
      const falling = queue.arrivals_per_second > queue.completions_per_second;
      found.push({
        id: `behind.${queue.queue}`,
        bad: queue.oldest_ready_seconds > 30 * 60,
        what: `The ${queue.queue} queue is behind: ${many(queue.ready, "task")} wait${queue.ready === 1 ? "s" : ""}`,
        since: before(queue.oldest_ready_seconds),
        why: `${rate(queue.arrivals_per_second)} come, ${rate(queue.completions_per_second)} are done by ${many(queue.workers, "worker")} with ${many(queue.slots, "slot")}; ${
          falling ? "it grows: add workers" : queue.drain_seconds == null ? "nobody works on it" : `empty in about ${lasting(queue.drain_seconds)}`
        }`,
        remedies: [{ label: "Workers", to: "/workers" }],
      });
    }
  }
  return found;
}

function worked({ workers = [], now }: Known): Trouble[] {
  const found: Trouble[] = [];
  const living = workers.filter((w) => w.state !== "gone");
  const toWorkers = { label: "Workers", to: "/workers" };
  // Whoever is asked to stop says farewell and is on the list no more: who is gone was killed, or cannot be reached.
  if (workers.length && !living.length) {
    const last = workers.reduce((a, b) => (a.seen_at > b.seen_at ? a : b));
    found.push({
      id: "deserted",
      bad: true,
      what: "No worker lives",
      since: last.seen_at,
      why: `nothing was heard of ${last.name} since, and of no other. Start one, on this machine or another: it takes what waits by itself`,
      remedies: [toWorkers],
    });
  }
  for (const worker of workers) {
    if (worker.state === "gone" && worker.tasks.length) {
      found.push({
        id: `gone.${worker.id}`,
        bad: false,
        what: `The worker ${worker.name} is gone with ${many(worker.tasks.length, "task")}`,
        since: worker.seen_at,
        why: `it was not heard of since. ${living.length ? "Others take" : "Whoever is started takes"} its tasks when their leases have run out: nothing has to be pressed`,
        remedies: [toWorkers],
      });
    }
    for (const task of worker.state === "gone" ? [] : worker.tasks) {
      if (now - Date.parse(task.started_at) > LONG_S * 1000) {
        found.push({
          id: `long.${task.id}`,
          bad: false,
          what: `One attempt of ${task.operation} takes long`,
          since: task.started_at,
          why: `on ${worker.name}; its time limit will end it if it hangs`,
          remedies: [{ label: "Look", to: `/assets/${task.asset}` }],
        });
      }
    }
  }
  if (living.length && living.every((w) => w.state !== "working")) {
    found.push({
      id: "drained",
      bad: true,
      what: "No worker takes anything: all of them drain",
      why: "somebody asked them to",
      remedies: [...living.filter((w) => w.state === "draining").slice(0, 1).map((w): Remedy => ({ label: `Resume ${w.name}`, act: { kind: "resume", worker: w.id } })), toWorkers],
    });
  }
  return found;
}

/** Receivers that take nothing. What a person switched off is no trouble. */
function hooked({ webhooks = [] }: Known): Trouble[] {
  const fails = webhooks.filter((one) => standing(one) === "failing" || (one.state === "off" && one.off_because !== "operator"));
  return fails.map((one) => {
    const off = one.state === "off";
    return {
      id: `webhook.${one.id}`,
      bad: off,
      what: off ? `The webhook to ${place(one.url)} switched itself off` : `The webhook to ${place(one.url)} fails`,
      since: one.failing_since ?? undefined,
      why: off ? offSaid(one.off_because) : `${one.last_error ?? "the receiver does not take what it is sent"}; ${behind(one)}`,
      remedies: [{ label: "Look", to: `/webhooks?of=${one.id}` }],
    };
  });
}

/** Where trying again is not what helps. */
function helps(code: string): string {
  return code.startsWith("input.") ? "The file itself is the reason: a good copy of it helps, trying again does not" : "";
}

function failed({ failures = [], reasons = {} }: Known): Trouble[] {
  return failures.map((group) => {
    const dead = group.state === "dead";
    const query = `?code=${encodeURIComponent(group.code)}&operation=${encodeURIComponent(group.operation)}`;
    const id = `${group.state}.${group.code}.${group.operation}`;
    return {
      id,
      bad: dead,
      what: `${many(group.tasks, `${group.operation} task`)} ${dead ? "failed for good" : group.tasks === 1 ? "waits for another try" : "wait for another try"}`,
      since: group.oldest_at,
      why: [reasons[id] ? `${group.code}: ${reasons[id]}` : group.code, dead && helps(group.code)].filter(Boolean).join(". "),
      remedies: dead
        ? [
            { label: "Look", to: `/dead${query}` },
            { label: "Replay all", doubtful: !!helps(group.code), act: { kind: "replay", code: group.code, operation: group.operation } },
          ]
        : [{ label: "Look", to: `/dead${query}&state=waiting` }],
    };
  });
}
