// All renditions of one photograph by sharp, or the raw pixels that its encoders are given.
// usage: node sharp.mjs encode|raw PHOTO OUTDIR OPTIONS-JSON
import { createRequire } from "node:module";
import { readFileSync, writeFileSync } from "node:fs";

const sharp = createRequire(process.env.SHARP_HOME + "/")("sharp");
const [mode, photo, out, options] = process.argv.slice(2);
const { sizes, formats } = JSON.parse(options);
sharp.concurrency(1);
sharp.cache(false);
const input = readFileSync(photo);

function resized(name) {
  const image = sharp(input, { autoOrient: false });
  if (name === "thumbnail") return image.resize(150, 150, { fit: "cover" });
  if (name === "original") return image;
  return image.resize({ width: Number(name), withoutEnlargement: true });
}

const report = [];
for (const name of sizes) {
  if (mode === "raw") {
    const { data, info } = await resized(name).removeAlpha().raw().toBuffer({ resolveWithObject: true });
    writeFileSync(`${out}/${name}.raw`, data);
    report.push({ name, width: info.width, height: info.height });
    continue;
  }
  for (const [format, settings] of Object.entries(formats)) {
    const before = process.cpuUsage();
    const data = await resized(name).toFormat(format, settings).toBuffer();
    const used = process.cpuUsage(before);
    writeFileSync(`${out}/${name}.${format}`, data);
    report.push({ name, format, bytes: data.length, cpu: (used.user + used.system) / 1e6 });
  }
}
console.log(JSON.stringify(report));
