import type { Logger } from "@stator/core";
import { EVENT_PROOF_MS } from "../load/event-proof.ts";
import type { WorkerSeries } from "./selector-metrics.ts";
import type { ProbeRecord } from "./selector.ts";
import type { TargetState } from "./target-state.ts";

export interface WorkerTrustOptions {
  readonly logger: Logger;
  readonly seriesOf: (worker: string) => WorkerSeries | undefined;
  /** Leading blocks of `names` that the index gives a target, by its events alone. */
  readonly blocksOf: (target: TargetState, names: BigUint64Array) => number;
}

/** Holds what workers do against what was expected of them, and says loudly when the two part. */
export interface WorkerTrust {
  /** A prompt was computed; the index held `knownBlocks` of its names when it was sent. */
  computed(target: TargetState, names: BigUint64Array, knownBlocks: number, nowMs: number): void;
  /** A worker said how much of a prompt it found cached. */
  predicted(target: TargetState, predictedTokens: number, actualTokens: number): void;
  /** What a probe of a target showed. */
  probed(target: TargetState, record: ProbeRecord): void;
  /** Whether what was computed came back as events, of all targets whose time has come. */
  prove(nowMs: number, targets: readonly TargetState[]): void;
}

export function createWorkerTrust({ logger, seriesOf, blocksOf }: WorkerTrustOptions): WorkerTrust {
  let proofDueMs = Infinity;

  return {
    computed(target, names, knownBlocks, nowMs) {
      target.proof.computed(names, knownBlocks, nowMs);
      proofDueMs = Math.min(proofDueMs, nowMs + EVENT_PROOF_MS);
    },
    predicted(target, predictedTokens, actualTokens) {
      const series = seriesOf(target.worker);
      series?.predicted(predictedTokens, actualTokens);
      if (!target.prediction.observe(predictedTokens, actualTokens)) return;
      series?.gap(target.prediction.record);
      tellGap(logger, target);
    },
    probed(target, record) {
      target.probe = record;
      const { outcome, attempts, detail } = record;
      if (outcome === "waiting") return;
      seriesOf(target.worker)?.probed(outcome);
      const fields = { worker: target.worker, rank: target.rank, attempts, detail };
      if (outcome === "failed")
        logger.error(
          "A probe's blocks did not come back as KV events: this worker is routed by this router's own decisions until a prompt's do.",
          fields,
        );
      else if (outcome === "unproven") logger.warn("No probe prompt could be run at this worker.", fields);
      else logger.info("Probe of this worker's KV events.", { ...fields, outcome });
      if (outcome !== "passed" && outcome !== "failed") return;
      if (target.proof.probed(outcome === "passed")) seriesOf(target.worker)?.silent(target.proof.isSilent);
    },
    prove(nowMs, targets) {
      if (nowMs < proofDueMs) return;
      proofDueMs = nowMs + EVENT_PROOF_MS;
      for (const target of targets) {
        const { cameBack, isTurn } = target.proof.check(nowMs, (names) => blocksOf(target, names));
        if (cameBack && target.probe.outcome !== "passed") {
          target.probe = { outcome: "passed", attempts: target.probe.attempts, detail: "by a prompt" };
          seriesOf(target.worker)?.proven();
        }
        if (!isTurn) continue;
        seriesOf(target.worker)?.silent(target.proof.isSilent);
        tellSilence(logger, target);
      }
    },
  };
}

/** Its events say what it holds; otherwise this router's own decisions do. */
export function isToldAll({ hasEvents, proof, prediction }: TargetState): boolean {
  return hasEvents && !proof.isSilent && !prediction.record.isUnderstated;
}

function tellSilence(logger: Logger, { worker, rank, hasEvents, proof }: TargetState): void {
  const fields = { worker, rank };
  if (!proof.isSilent) logger.info("What this worker computes comes back as KV events again.", fields);
  else if (hasEvents) {
    logger.error(
      "What this worker computes does not come back as KV events: it is routed by this router's own decisions. Check its event feed, block size and hash scheme.",
      fields,
    );
  } else logger.warn("This worker sends no KV events: it is routed by this router's own decisions.", fields);
}

function tellGap(logger: Logger, { worker, rank, hasEvents, prediction }: TargetState): void {
  const fields = { worker, rank, ...prediction.record };
  if (prediction.record.isDistrusted) {
    logger.error(
      "Predicted cached tokens of this worker do not come true: it is routed by load alone. Compare block size, tokenizer and hash scheme.",
      fields,
    );
  } else if (prediction.record.isUnderstated) {
    // Without events this router's own decisions are all there is already.
    if (!hasEvents) return;
    logger.error(
      "This worker finds far more cached than its KV events say: it is routed by this router's own decisions as well. Check its event feed, and whether index.maxBytes holds its blocks.",
      fields,
    );
  } else logger.info("Predictions for this worker come true again.", fields);
}
