// Settings as the screen lists them: by section, and only those that are looked for. Pure.

import type { Setting } from "./api/client.ts";
import { bytes, lasting } from "./words.ts";

export interface Section { name: string; settings: Setting[] }

export function section(setting: Setting): string {
  const end = setting.name.lastIndexOf(".");
  return end < 0 ? "" : setting.name.slice(0, end);
}

export function sections(settings: Setting[], words: string, changedOnly: boolean): Section[] {
  const wanted = words.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const found: Section[] = [];
  for (const setting of settings) {
    const text = `${setting.name} ${shown(setting.value)} ${setting.meaning}`.toLowerCase();
    if ((changedOnly && setting.origin === "default") || !wanted.every((word) => text.includes(word))) continue;
    const name = section(setting);
    const last = found.find((one) => one.name === name);
    if (last) last.settings.push(setting);
    else found.push({ name, settings: [setting] });
  }
  return found;
}

export function shown(value: unknown): string {
  if (value === null || value === undefined) return "none";
  if (Array.isArray(value)) return value.length ? value.map((one) => (typeof one === "object" ? JSON.stringify(one) : String(one))).join(", ") : "none";
  if (typeof value === "object") return Object.keys(value).length ? JSON.stringify(value) : "none";
  return String(value);
}

/** A number of bytes or of seconds in words, by the setting's name. */
export function said(setting: Setting): string {
  const value = setting.value;
  if (typeof value !== "number") return "";
  if (/bytes/.test(setting.name) && value >= 1000) return bytes(value);
  if (/_s(_max)?$/.test(setting.name) && value >= 90) return lasting(value);
  return "";
}
