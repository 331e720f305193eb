// What is kept, as the Storage screen tells it: sorts with their formats, and how much of the whole each is. Pure.

import type { Held } from "./api/client.ts";

export const SORTS: Record<string, string> = {
  original: "originals",
  rendition: "renditions",
  stream: "streams of films and sounds",
  captions: "captions",
  piece: "pieces under work",
};

export interface Heap { sort: string; name: string; files: number; bytes: number; formats: { name: string; files: number; bytes: number }[] }

/** By sort, in the order of `SORTS`; formats of all kinds together, the largest first. `kind` empty is all kinds. */
export function heaps(held: Held[], kind: string): Heap[] {
  const found = new Map<string, Heap>(Object.entries(SORTS).map(([sort, name]) => [sort, { sort, name, files: 0, bytes: 0, formats: [] }]));
  for (const one of held) {
    if (kind && one.kind !== kind) continue;
    const heap = found.get(one.sort) ?? { sort: one.sort, name: one.sort, files: 0, bytes: 0, formats: [] };
    found.set(one.sort, heap);
    heap.files += one.files;
    heap.bytes += one.bytes;
    const format = heap.formats.find((format) => format.name === one.format);
    if (format) {
      format.files += one.files;
      format.bytes += one.bytes;
    } else heap.formats.push({ name: one.format, files: one.files, bytes: one.bytes });
  }
  const all = [...found.values()].filter((heap) => heap.files);
  for (const heap of all) heap.formats.sort((a, b) => b.bytes - a.bytes);
  return all;
}

/** A part of a whole in percent, as people say it. */
export function share(part: number, whole: number): string {
  if (!whole || !part) return "0 %";
  const percent = (100 * part) / whole;
  return percent < 1 ? "under 1 %" : `${Math.round(percent)} %`;
}
