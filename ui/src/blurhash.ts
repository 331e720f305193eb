// Colours of a BlurHash, as pixels: what is shown before anything is loaded. After the format's description.

const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~";

function number(text: string): number {
  let value = 0;
  for (const digit of text) {
    const place = DIGITS.indexOf(digit);
    if (place < 0) return Number.NaN;
    value = value * 83 + place;
  }
  return value;
}

const linear = (byte: number) => (byte <= 10 ? byte / 255 / 12.92 : ((byte / 255 + 0.055) / 1.055) ** 2.4);
const encoded = (light: number) => {
  const v = Math.min(1, Math.max(0, light));
  return Math.round(255 * (v <= 0.0031308 ? v * 12.92 : 1.055 * v ** (1 / 2.4) - 0.055));
};
const squared = (v: number) => Math.sign(v) * v * v;

/** RGBA of `width` times `height` pixels; nothing when the text is no BlurHash. */
export function pixels(hash: string, width: number, height: number): Uint8ClampedArray<ArrayBuffer> | undefined {
  if (hash.length < 6) return undefined;
  const size = number(hash[0]!);
  const [across, down] = [(size % 9) + 1, Math.floor(size / 9) + 1];
  if (hash.length !== 4 + 2 * across * down) return undefined;
  const largest = (number(hash[1]!) + 1) / 166;
  const waves: [number, number, number][] = [];
  for (let i = 0; i < across * down; i++) {
    if (i === 0) {
      const v = number(hash.slice(2, 6));
      waves.push([linear(v >> 16), linear((v >> 8) & 255), linear(v & 255)]);
    } else {
      const v = number(hash.slice(4 + 2 * i, 6 + 2 * i));
      waves.push([Math.floor(v / 361), Math.floor(v / 19) % 19, v % 19].map((q) => squared((q - 9) / 9) * largest) as [number, number, number]);
    }
  }
  const out = new Uint8ClampedArray(4 * width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const sum = [0, 0, 0];
      for (let j = 0; j < down; j++) {
        for (let i = 0; i < across; i++) {
          const weight = Math.cos((Math.PI * x * i) / width) * Math.cos((Math.PI * y * j) / height);
          const wave = waves[j * across + i]!;
          for (let c = 0; c < 3; c++) sum[c]! += wave[c]! * weight;
        }
      }
      const at = 4 * (y * width + x);
      for (let c = 0; c < 3; c++) out[at + c] = encoded(sum[c]!);
      out[at + 3] = 255;
    }
  }
  return out;
}
