import { createHash } from "node:crypto";
import { open } from "node:fs/promises";

/** Up to this size a file is hashed whole. */
const wholeBytes = 256 * 2 ** 20;
const sampleBytes = 2 ** 20;
const samples = 64;

/**
 * Names the weights of a file: SHA-256 of all of it, or, above 256 MiB, of its size, its head and 64 samples of 1 MiB
 * spread over it, so that starting a worker does not read tens of gigabytes twice.
 */
export async function weightsDigest(path: string): Promise<string> {
  const hash = createHash("sha256");
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const starts =
      size <= wholeBytes
        ? Array.from({ length: Math.ceil(size / sampleBytes) }, (_, i) => i * sampleBytes)
        : Array.from({ length: samples }, (_, i) => Math.floor(((size - sampleBytes) * i) / (samples - 1)));
    if (size > wholeBytes) hash.update(`sampled:${size}:`);
    const buffer = Buffer.alloc(sampleBytes);
    for (const start of starts) {
      const { bytesRead } = await file.read(buffer, 0, sampleBytes, start);
      hash.update(buffer.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
  return hash.digest("hex");
}
