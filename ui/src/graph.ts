// Where the steps of a recipe stand when they are drawn: each in the column after the last that it needs. Pure.

import type { Step } from "./api/client.ts";

export interface Node { step: Step; column: number; row: number }
/** From step to step; where it passes columns it has a place of its own in each, so that it crosses no step. */
export interface Edge { from: string; to: string; points: { column: number; row: number }[] }
export interface Layout { nodes: Node[]; columns: number; rows: number; edges: Edge[] }

interface Place { step?: Step; column: number; row: number; before: Place[] }

export function layout(steps: Step[]): Layout {
  const column = new Map<string, number>();
  for (const step of steps) column.set(step.name, Math.max(-1, ...step.needs.map((need) => column.get(need) ?? 0)) + 1);
  const columns = Math.max(0, ...column.values()) + 1;
  // A need that another need stands on anyway is no line of its own.
  const reaches = (from: string, to: string): boolean => {
    const needs = steps.find((step) => step.name === from)?.needs ?? [];
    return needs.includes(to) || needs.some((need) => reaches(need, to));
  };
  const places = new Map<string, Place>(steps.map((step) => [step.name, { step, column: column.get(step.name)!, row: 0, before: [] }]));
  const all: Place[] = [...places.values()];
  const ways: { from: string; to: string; places: Place[] }[] = [];
  for (const to of steps) {
    for (const need of to.needs.filter((one) => !to.needs.some((other) => other !== one && reaches(other, one)))) {
      const way = [places.get(need)!];
      for (let at = way[0]!.column + 1; at < column.get(to.name)!; at++) {
        const pass: Place = { column: at, row: 0, before: [way.at(-1)!] };
        all.push(pass);
        way.push(pass);
      }
      const end = places.get(to.name)!;
      end.before.push(way.at(-1)!);
      ways.push({ from: need, to: to.name, places: [...way, end] });
    }
  }
  let rows = 0;
  for (let at = 0; at < columns; at++) {
    const here = all.filter((place) => place.column === at);
    // Beside what they follow, so that lines cross little. A line needs half the room of a step.
    const wish = (place: Place) => (place.before.length ? place.before.reduce((sum, one) => sum + one.row, 0) / place.before.length : 0);
    here.sort((a, b) => wish(a) - wish(b));
    let row = 0;
    for (const place of here) {
      const room = place.step ? 1 : 0.5;
      place.row = row + (room - 1) / 2;
      row += room;
    }
    rows = Math.max(rows, row);
    const height = row;
    // Columns with less in them stand in the middle; which that is, the highest says.
    for (const place of here) place.row -= height / 2;
  }
  for (const place of all) place.row += rows / 2;
  const nodes = [...places.values()].map(({ step, column, row }) => ({ step: step!, column, row }));
  const edges = ways.map(({ from, to, places }) => ({ from, to, points: places.map(({ column, row }) => ({ column, row })) }));
  return { nodes, columns, rows, edges };
}

/** Steps that need this one, directly or through others, in the recipe's order. */
export function followers(steps: Step[], name: string): string[] {
  const found = new Set([name]);
  // Steps stand after what they need.
  for (const step of steps) if (step.needs.some((need) => found.has(need))) found.add(step.name);
  found.delete(name);
  return [...found];
}

/** Steps that this one needs, directly or through others, in the recipe's order. */
export function sources(steps: Step[], name: string): string[] {
  return steps.map((step) => step.name).filter((one) => followers(steps, one).includes(name));
}

interface Standing { step: string; state: string }

/**
 * What can be tried again from a step on: its own dead tasks and those of the steps that follow it. Where it was never begun because
 * something before it failed, that is what must be tried again.
 */
export function retriable<T extends Standing>(steps: Step[], tasks: T[], name: string): { own: T[]; after: T[]; before: T[] } {
  const dead = tasks.filter((task) => task.state === "dead");
  const after = followers(steps, name);
  const waits = tasks.some((task) => task.step === name && task.state === "cancelled");
  const before = waits ? sources(steps, name) : [];
  const of = (names: string[]) => dead.filter((task) => names.includes(task.step));
  return { own: of([name]), after: of(after), before: of(before) };
}
