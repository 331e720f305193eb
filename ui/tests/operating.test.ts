import assert from "node:assert/strict";
import test from "node:test";
import type { Held, Setting } from "../src/api/client.ts";
import { count, limitsSaid, readLimits, size, written, writtenLimits } from "../src/keys.ts";
import { said, sections, shown } from "../src/settings.ts";
import { heaps, share } from "../src/stock.ts";

test("sizes are read as people write them, and nothing else is", () => {
  for (const [text, bytes] of [["", null], ["  ", null], ["1000", 1000], ["5 GB", 5e9], ["500mb", 5e8], ["1.5 kB", 1500], ["1,5 kb", 1500], ["2 GiB", 2 ** 31], ["0", 0]] as const) assert.equal(size(text), bytes, text);
  for (const text of ["GB", "5 XB", "-1", "1e9", "5 GB each", "9999999999 TB"]) assert.equal(size(text), undefined, text);
  for (const [text, number] of [["", null], ["12", 12], ["1.5", undefined], ["ten", undefined], ["99999999999", undefined]] as const) assert.equal(count(text), number, text);
});

test("limits that were read are written as they can be read again", () => {
  for (const number of [1, 999, 1000, 1_500_000, 5e9, 4_294_967_296, 2e12]) assert.equal(size(written(number)), number);
  const limits = { file_bytes_max: 5e7, types: ["image/*", "video/mp4"], open_max: 3, day_bytes_max: null, day_files_max: 0 };
  assert.deepEqual(readLimits(writtenLimits(limits)), { limits });
  assert.deepEqual(readLimits(writtenLimits()), { limits: { file_bytes_max: null, types: [], open_max: null, day_bytes_max: null, day_files_max: null } });
});

test("what is wrong with limits is named", () => {
  const wrong = (change: object) => {
    const read = readLimits({ ...writtenLimits(), ...change });
    return "wrong" in read ? read.wrong : "";
  };
  assert.match(wrong({ file: "large" }), /^The largest file must be a number, such as 500 MB/);
  assert.match(wrong({ dayFiles: "1.5" }), /^Files a day must be a number, or empty/);
  assert.match(wrong({ types: "image/jpeg photos" }), /photos is none/);
});

test("a key's limits are told in words", () => {
  assert.deepEqual(limitsSaid({ types: [] }), []);
  assert.deepEqual(limitsSaid({ file_bytes_max: 5e7, types: ["image/*"], open_max: 1, day_bytes_max: 5e9, day_files_max: 0 }), ["files up to 50 MB", "only image/*", "1 open upload", "5 GB a day", "0 files a day"]);
});

const held = (kind: string, sort: string, format: string, files: number, bytes: number) => ({ kind, sort, format, files, bytes }) as Held;
const stock = [held("image", "rendition", "webp", 2, 20), held("image", "rendition", "jpeg", 2, 40), held("video", "rendition", "webp", 1, 30), held("image", "original", "image/png", 1, 100), held("video", "stream", "cmaf", 9, 900), held("video", "novel", "x", 1, 1)];

test("what is kept is heaped by sort, with formats of all kinds together", () => {
  const found = heaps(stock, "");
  assert.deepEqual(found.map((heap) => [heap.sort, heap.files, heap.bytes]), [["original", 1, 100], ["rendition", 5, 90], ["stream", 9, 900], ["novel", 1, 1]]);
  assert.deepEqual(found[1]!.formats, [{ name: "webp", files: 3, bytes: 50 }, { name: "jpeg", files: 2, bytes: 40 }]);
  assert.deepEqual(heaps(stock, "image").map((heap) => heap.bytes), [100, 60]);
  assert.deepEqual(heaps([], ""), []);
});

test("shares are whole percents, and little is not nothing", () => {
  for (const [part, whole, text] of [[0, 0, "0 %"], [0, 5, "0 %"], [1, 1000, "under 1 %"], [1, 3, "33 %"], [5, 5, "100 %"]] as const) assert.equal(share(part, whole), text);
});

const setting = (name: string, value: unknown, origin = "default", meaning = "What it does.") => ({ name, value, default: null, origin, meaning }) as unknown as Setting;
const settings = [setting("listen", "127.0.0.1:8080"), setting("data", "here", "file"), setting("limits.upload.bytes_max", 4_294_967_296), setting("limits.upload.idle_s_max", 60, "command", "Longest pause."), setting("worker.lease_s", 120)];

test("settings stand under their sections and are found by name, value and meaning", () => {
  const names = (words: string, changed = false) => sections(settings, words, changed).map((one) => `${one.name}: ${one.settings.map((s) => s.name).join()}`);
  assert.deepEqual(names(""), [": listen,data", "limits.upload: limits.upload.bytes_max,limits.upload.idle_s_max", "worker: worker.lease_s"]);
  assert.deepEqual(names("8080"), [": listen"]);
  assert.deepEqual(names("longest upload"), ["limits.upload: limits.upload.idle_s_max"]);
  assert.deepEqual(names("", true), [": data", "limits.upload: limits.upload.idle_s_max"]);
  assert.deepEqual(names("no such thing"), []);
});

test("values are shown as what they are", () => {
  for (const [value, text] of [[null, "none"], [[], "none"], [{}, "none"], [["a", "b"], "a, b"], [[{ id: "k" }], '{"id":"k"}'], [false, "false"], [0, "0"]] as const) assert.equal(shown(value), text);
  assert.deepEqual(settings.map(said), ["", "", "4.29 GB", "", "2 min"]);
});
