// What keys may do, in words, and limits as people write them. Pure.

import type { KeyLimits } from "./api/client.ts";
import { bytes, many } from "./words.ts";

export const SCOPES: [string, string][] = [
  ["read", "look at assets, tasks and events, and fetch originals"],
  ["ingest", "upload, change, process again and delete"],
  ["moderate", "decide about what waits for a person"],
  ["admin", "all of this, try dead tasks again, and make keys"],
];

/** Each limit in words; nothing where a key has none of its own. */
export function limitsSaid(limits: KeyLimits): string[] {
  return [
    limits.file_bytes_max != null && `files up to ${bytes(limits.file_bytes_max)}`,
    !!limits.types?.length && `only ${limits.types.join(", ")}`,
    limits.open_max != null && `${many(limits.open_max, "open upload")}`,
    limits.day_bytes_max != null && `${bytes(limits.day_bytes_max)} a day`,
    limits.day_files_max != null && `${many(limits.day_files_max, "file")} a day`,
  ].filter((said) => said !== false);
}

const UNITS: Record<string, number> = { "": 1, b: 1, kb: 1e3, mb: 1e6, gb: 1e9, tb: 1e12, kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30, tib: 2 ** 40 };

/** A number with or without a unit; null when nothing was said, nothing when it cannot be understood. */
export function size(text: string): number | null | undefined {
  const said = text.trim().toLowerCase();
  if (!said) return null;
  const parts = said.match(/^([0-9]+(?:[.,][0-9]+)?)\s*([a-z]*)$/);
  const unit = parts && UNITS[parts[2] ?? ""];
  if (!parts || !unit) return undefined;
  const number = Math.round(Number(parts[1]!.replace(",", ".")) * unit);
  return Number.isSafeInteger(number) ? number : undefined;
}

/** A whole number, likewise. */
export function count(text: string): number | null | undefined {
  const said = text.trim();
  if (!said) return null;
  return /^[0-9]{1,9}$/.test(said) ? Number(said) : undefined;
}

/** A size as `size` reads it, without losing any of it. */
export function written(number: number | null | undefined): string {
  if (number == null) return "";
  for (const [unit, factor] of [["TB", 1e12], ["GB", 1e9], ["MB", 1e6], ["kB", 1e3]] as const) if (number >= factor && number % factor === 0) return `${number / factor} ${unit}`;
  return String(number);
}

export interface Written { file: string; types: string; open: string; dayBytes: string; dayFiles: string }

export function writtenLimits(limits?: KeyLimits): Written {
  return {
    file: written(limits?.file_bytes_max),
    types: limits?.types?.join(", ") ?? "",
    open: limits?.open_max?.toString() ?? "",
    dayBytes: written(limits?.day_bytes_max),
    dayFiles: limits?.day_files_max?.toString() ?? "",
  };
}

/** What was written as limits, or what is wrong with it. */
export function readLimits(said: Written): { limits: KeyLimits } | { wrong: string } {
  const types = said.types.split(/[\s,]+/).filter(Boolean);
  const limits = { file_bytes_max: size(said.file), types, open_max: count(said.open), day_bytes_max: size(said.dayBytes), day_files_max: count(said.dayFiles) };
  const names: Record<string, string> = { file_bytes_max: "The largest file", open_max: "Open uploads", day_bytes_max: "Bytes a day", day_files_max: "Files a day" };
  for (const [name, value] of Object.entries(limits)) if (value === undefined) return { wrong: `${names[name]} must be a number${name.includes("bytes") ? ", such as 500 MB" : ""}, or empty.` };
  const odd = types.find((type) => !/^[a-z0-9.+-]+\/([a-z0-9.+-]+|\*)$/.test(type));
  if (odd) return { wrong: `Types are like image/jpeg or video/*; ${odd} is none.` };
  return { limits: limits as KeyLimits };
}
