import { TRACE_BLOCK_TOKENS, type TraceRequest } from "./trace-request.ts";

/**
 * Names for a trace request's blocks at a block size that divides 512: as unique per prefix as real rolling hashes,
 * without token ids to hash. A partial last block counts as whole, as in the published figures on these traces.
 */
export function traceBlockNames(
  request: TraceRequest,
  blockTokens: number = TRACE_BLOCK_TOKENS,
): BigUint64Array {
  const parts = TRACE_BLOCK_TOKENS / blockTokens;
  if (!Number.isInteger(parts))
    throw new RangeError(`blockTokens is ${blockTokens}; it must divide ${TRACE_BLOCK_TOKENS}.`);
  const count = Math.min(request.blockIds.length * parts, Math.ceil(request.inputTokens / blockTokens));
  const words = new Uint32Array(2 * count);
  for (let i = 0; i < count; i++) {
    const serial = request.blockIds[Math.floor(i / parts)]! * parts + (i % parts) + 1;
    words[2 * i] = mix(serial) || 1;
    words[2 * i + 1] = mix(serial ^ 0x9e3779b9);
  }
  return new BigUint64Array(words.buffer);
}

function mix(value: number): number {
  let hash = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
