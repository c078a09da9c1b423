import type { RoutedCandidate } from "@stator/core";
import type { Decision } from "../selector/selector.ts";

/** One decision as it was recorded: hashes and counts, no text and no token ids. */
export interface RecordedDecision {
  /** On the recorder's clock. */
  readonly atMs: number;
  readonly id: string | undefined;
  readonly names: BigUint64Array;
  readonly promptTokens: number;
  /** As it turned out, or as expected. */
  readonly outputTokens: number | undefined;
  readonly sessionId: string | undefined;
  readonly policy: string;
  readonly worker: string | undefined;
  readonly rank: number | undefined;
  readonly cachedTokens: number | undefined;
  readonly costMs: number | undefined;
  readonly reason: string;
  readonly candidates: readonly RoutedCandidate[];
}

/** One line of a decision log (JSONL), without its line break. `outputTokens` as the request ended, if it has. */
export function encodeDecision(decision: Decision, atMs: number, outputTokens?: number): string {
  const { chosen, request, explanation } = decision;
  return JSON.stringify({
    atMs,
    id: request.id,
    names: base64OfNames(request.names),
    promptTokens: request.promptTokens,
    outputTokens: outputTokens ?? request.expectedOutputTokens,
    sessionId: request.hints?.sessionId,
    policy: decision.policy,
    worker: chosen?.worker,
    rank: chosen?.rank,
    cachedTokens: chosen?.cachedTokens,
    costMs: chosen?.costMs,
    reason: decision.reason,
    ...(explanation === undefined ? {} : { candidates: explanation.candidates }),
  });
}

/** Reads a decision log. @throws RangeError with the number of a line that is none. */
export function parseDecisions(text: string): RecordedDecision[] {
  const decisions: RecordedDecision[] = [];
  text.split("\n").forEach((line, index) => {
    if (line.trim() === "") return;
    try {
      const value = JSON.parse(line) as Omit<RecordedDecision, "names" | "candidates"> & {
        readonly names: string;
        readonly candidates?: readonly RoutedCandidate[];
      };
      const { id, sessionId, outputTokens, worker, rank, cachedTokens, costMs } = value;
      const { atMs, promptTokens, policy, reason } = value;
      if (typeof atMs !== "number" || typeof promptTokens !== "number")
        throw new TypeError("atMs and promptTokens must be numbers");
      const names = namesOfBase64(value.names);
      const candidates = value.candidates ?? [];
      decisions.push({
        atMs,
        id,
        names,
        promptTokens,
        outputTokens,
        sessionId,
        policy,
        worker,
        rank,
        cachedTokens,
        costMs,
        reason,
        candidates,
      });
    } catch (cause) {
      throw new RangeError(`Line ${index + 1} is no recorded decision: ${line.slice(0, 80)}`, { cause });
    }
  });
  return decisions;
}

function base64OfNames(names: BigUint64Array): string {
  const bytes = new Uint8Array(names.buffer, names.byteOffset, names.byteLength);
  let binary = "";
  for (let i = 0; i < bytes.length; i += 8192) binary += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(binary);
}

function namesOfBase64(text: string): BigUint64Array {
  const binary = atob(text);
  const bytes = Uint8Array.from(binary, (char) => char.charCodeAt(0));
  return new BigUint64Array(bytes.buffer, 0, bytes.length >>> 3);
}
