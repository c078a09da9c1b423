import { extended, noopMeter, silentLogger, systemClock } from "@stator/core";
import { routerError } from "../errors/router-error.ts";
import { explain, reasonOf } from "../explain/explain.ts";
import { createPrefixIndex } from "../index/create-prefix-index.ts";
import type { PrefixMatch } from "../index/prefix-index.ts";
import { createActiveBlocks } from "../load/active-blocks.ts";
import { createExpectedPrefixes } from "../load/expected-prefixes.ts";
import { landmarksOf } from "../load/landmarks.ts";
import { createLinearFit } from "../load/linear-fit.ts";
import { createPredictionCheck } from "../load/prediction-check.ts";
import { createPrefillModels, PREFILL_PRIOR } from "../load/time-model.ts";
import { kvAware } from "../policies/kv-aware.ts";
import { lowest } from "../policies/lowest.ts";
import { createBooking, type BookingContext } from "./booking.ts";
import { createCosting } from "./costing.ts";
import { applyBatch, snapshotOf, snapshotSteps, type EventStream } from "./event-intake.ts";
import { exclusionOf } from "./exclusions.ts";
import { createFleetAgreement } from "./fleet-agreement.ts";
import {
  DEFAULT_APPROXIMATE_TTL_MS,
  DEFAULT_SPECULATIVE_TTL_MS,
  durationMs,
  resolveCost,
  type SelectorOptions,
} from "./options.ts";
import { prepareRequest } from "./prepare-request.ts";
import { seededRandom } from "./random.ts";
import { createSelectorMetrics } from "./selector-metrics.ts";
import type { Chosen, Decision, PolicyInput, SelectRequest, Selector, TargetLoad } from "./selector.ts";
import { survivorsOf } from "./survivors.ts";
import { createTargetState, queueMsOf, reconcile, type TargetState } from "./target-state.ts";
import { createWorkerTrust, isToldAll } from "./worker-trust.ts";

const EXPECTED_BYTES = 16 * 1024 * 1024;
const INITIAL_OUTPUT_TOKENS = 256;

/**
 * Creates a selector.
 *
 * @example
 * const selector = createSelector({ policy: kvAware() });
 * selector.addWorker(handle.worker, handle.card);
 * const decision = selector.select(selector.prepare(request));
 * const booking = selector.book(decision);
 * try { ... booking.prefilled(); ... } finally { booking.free(); }
 *
 * @throws RouterError `ROUTER_OPTION_INVALID`
 */
export function createSelector(options: SelectorOptions = {}): Selector {
  const policy = options.policy ?? kvAware();
  const filters = options.filters ?? [];
  const cost = resolveCost(options.cost);
  const clock = options.clock ?? systemClock;
  const logger = options.logger ?? silentLogger;
  const random = seededRandom(options.seed ?? 1);
  const index = createPrefixIndex(options.index);
  // Whoever bounds the index bounds what stands in for it too.
  const expectedBytes = Math.min(EXPECTED_BYTES, options.index?.maxBytes ?? EXPECTED_BYTES);
  const speculative = createExpectedPrefixes(
    durationMs("speculativeTtlMs", options.speculativeTtlMs ?? DEFAULT_SPECULATIVE_TTL_MS),
    expectedBytes,
  );
  const approximate = createExpectedPrefixes(
    durationMs("approximateTtlMs", options.approximateTtlMs ?? DEFAULT_APPROXIMATE_TTL_MS),
    expectedBytes,
  );
  const models = createPrefillModels({ ...PREFILL_PRIOR, ...options.prefillPrior });
  const activeBlocks = createActiveBlocks();
  const interTokenFit = createLinearFit(512);
  const seriesOf = createSelectorMetrics(options.meter ?? noopMeter);
  const workers = new Map<string, EventStream>();
  let targets: TargetState[] = [];
  const agreement = createFleetAgreement();
  let meanOutputTokens = INITIAL_OUTPUT_TOKENS;
  const trust = createWorkerTrust({
    logger,
    seriesOf: (worker) => workers.get(worker)?.series,
    blocksOf: (target, names) => index.lookup(names).depths[target.number]!,
  });
  const costing = createCosting({
    cost,
    activeBlocks,
    interTokenFit,
    meanOutputTokens: () => meanOutputTokens,
  });

  const bookingContext: BookingContext = {
    now: () => clock.now(),
    activeBlocks,
    interTokenFit,
    onFinished(outputTokens) {
      meanOutputTokens += (outputTokens - meanOutputTokens) / 128;
    },
    onComputed(target, request, knownBlocks) {
      trust.computed(target, request.names, knownBlocks, clock.now());
    },
    onPrediction: (target, predictedTokens, actualTokens) =>
      trust.predicted(target, predictedTokens, actualTokens),
  };

  function removeWorker(id: string, epoch?: string): void {
    const known = workers.get(id);
    if (known === undefined || (epoch !== undefined && known.worker.epoch !== epoch)) return;
    workers.delete(id);
    known.series.forget();
    targets = targets.filter((target) => target.worker !== id);
    for (const target of known.ranks) {
      index.removeTarget(target.number);
      speculative.removeTarget(target.number);
      approximate.removeTarget(target.number);
    }
  }

  /** Depths in blocks of every target for `names`, real, speculative and approximate together. */
  function match(request: SelectRequest, nowMs: number): PrefixMatch {
    const landmarks = landmarksOf(request.names);
    const found = index.lookup(request.names);
    speculative.raise(landmarks, nowMs, found.depths);
    approximate.raise(landmarks, nowMs, found.depths);
    return found;
  }

  return {
    policy: policy.name,
    get blockTokens() {
      return agreement.blockTokens;
    },
    sharedIndex: index.shared,
    addWorker(worker, card) {
      const known = workers.get(worker.id);
      if (known?.worker.epoch === worker.epoch) return;
      if (known !== undefined) removeWorker(worker.id);
      agreement.join(worker, card, workers.size === 0);
      const ranks = Array.from({ length: Math.max(1, worker.ranks) }, (_, rank) => {
        const number = index.addTarget();
        speculative.addTarget(number);
        approximate.addTarget(number);
        return createTargetState({
          number,
          rank,
          worker,
          adapters: card.adapters,
          blockTokens: card.blockTokens,
          prefill: models.forWorker(),
          prediction: createPredictionCheck(card.blockTokens),
        });
      });
      const group = Math.max(0, card.kvGroups?.findIndex((each) => each.kind === "full_attention") ?? 0);
      workers.set(worker.id, {
        worker,
        ranks,
        group,
        next: undefined,
        series: seriesOf(worker.id),
        followers: new Set(),
      });
      targets.push(...ranks);
    },
    removeWorker,
    observeStatus(id, epoch, status) {
      const known = workers.get(id);
      if (known?.worker.epoch !== epoch) return "stale";
      known.ranks.forEach((target, rank) => {
        reconcile(target, status.ranks?.[rank] ?? status.load);
        target.isDraining = status.isDraining === true;
      });
      return "applied";
    },
    observe(batch) {
      const known = workers.get(batch.worker);
      return known?.worker.epoch === batch.epoch ? applyBatch(index, known, batch) : "stale";
    },
    probed({ worker, epoch, rank }, record) {
      const target = workers.get(worker)?.ranks[rank];
      if (target?.epoch !== epoch) return "stale";
      trust.probed(target, record);
      return "applied";
    },
    nextSequence: (worker) => workers.get(worker)?.next,
    prepare: (request) => prepareRequest(request, agreement.blockTokens),
    select(request, selectOptions) {
      const startedMs = clock.now();
      trust.prove(startedMs, targets);
      const found = match(request, startedMs);
      const excluded = new Map<TargetState, string>();
      const eligible: TargetState[] = [];
      for (const target of targets) {
        const why = exclusionOf(target, request);
        if (why !== undefined) {
          excluded.set(target, why);
          continue;
        }
        costing.fill(target, request, found.depths[target.number]!, found, startedMs);
        const veto = firstVeto(filters, target, request);
        if (veto === undefined) eligible.push(target);
        else excluded.set(target, veto);
      }
      const candidates = survivorsOf(eligible, request, (target, why) => excluded.set(target, why));
      const input: PolicyInput = { candidates, request, random, nowMs: startedMs };
      const picked = candidates.length === 0 ? undefined : (policy(input) as TargetState | undefined);
      const reason = reasonOf(policy.name, picked, candidates, excluded);
      const decision: Decision = {
        chosen: picked === undefined ? undefined : chosenOf(picked),
        reason,
        policy: policy.name,
        request,
      };
      if (selectOptions?.explain !== true) return decision;
      const decisionMs = clock.now() - startedMs;
      return extended(decision, { explanation: explain({ decision, candidates, excluded, decisionMs }) });
    },
    book(decision) {
      const { chosen, request } = decision;
      const target = chosen && workers.get(chosen.worker)?.ranks[chosen.rank];
      if (chosen === undefined || target === undefined || target.epoch !== chosen.epoch) {
        throw routerError(
          "ROUTER_NOTHING_CHOSEN",
          `Nothing to book: ${chosen === undefined ? decision.reason : `${chosen.worker} left meanwhile`}.`,
        );
      }
      const landmarks = landmarksOf(request.names);
      const known = target.proof.isIdle ? index.lookup(request.names).depths[target.number]! : -1;
      const booking = createBooking(target, chosen, request, landmarks, known, bookingContext);
      if (landmarks.length > 0)
        (isToldAll(target) ? speculative : approximate).expect(target.number, landmarks, clock.now());
      return booking;
    },
    estimate(request) {
      const nowMs = clock.now();
      const found = match(request, nowMs);
      const eligible: TargetState[] = [];
      for (const target of targets) {
        if (exclusionOf(target, request) !== undefined) continue;
        costing.fill(target, request, found.depths[target.number]!, found, nowMs);
        eligible.push(target);
      }
      const best = lowest(
        survivorsOf(eligible, request, () => {}),
        ({ costMs }) => costMs,
      );
      return best && { cachedTokens: best.cachedTokens, queueMs: best.queueMs, prefillMs: best.prefillMs };
    },
    dump(worker) {
      const known = workers.get(worker);
      return known === undefined ? undefined : snapshotOf(index, known);
    },
    *dumpSteps(worker) {
      const known = workers.get(worker);
      if (known === undefined) return undefined;
      const steps = snapshotSteps(index, known);
      try {
        for (;;) {
          const step = steps.next();
          if (step.done === true) return step.value;
          yield;
          // Its numbers may be another's by now.
          if (workers.get(worker) !== known) return undefined;
        }
      } finally {
        steps.return(undefined);
      }
    },
    holdings(names) {
      const { depths, hostBlocks, diskBlocks } = index.lookup(names);
      return targets
        .filter((target) => depths[target.number]! > 0)
        .map(({ worker, epoch, rank, number }) => ({
          worker,
          epoch,
          rank,
          blocks: depths[number]!,
          hostBlocks: hostBlocks[number]!,
          diskBlocks: diskBlocks[number]!,
        }));
    },
    loads: () =>
      targets.map((target): TargetLoad => {
        const { intercept, slope, deviation } = target.prefill.line;
        return {
          worker: target.worker,
          epoch: target.epoch,
          rank: target.rank,
          activeRequests: target.bookedRequests + target.foreignRequests,
          queuedPrefillTokens: target.pendingTokens + target.foreignTokens,
          queueMs: queueMsOf(target, clock.now()),
          decodeBlocks: target.bookedBlocks + target.foreignBlocks,
          leakedBlocks: target.leakedBlocks,
          indexTarget: target.number,
          indexedBlocks: index.digest(target.number).blocks,
          prediction: target.prediction.record,
          hasEvents: isToldAll(target),
          probe: target.probe,
          prefill: {
            fixedMs: intercept,
            msPerToken: slope,
            errorMs: deviation,
            samples: target.prefill.samples,
          },
        };
      }),
  };
}

function firstVeto(
  filters: SelectorOptions["filters"] & object,
  target: TargetState,
  request: SelectRequest,
): string | undefined {
  for (const filter of filters) {
    const veto = filter(target, request);
    if (veto !== undefined) return veto;
  }
  return undefined;
}

function chosenOf(target: TargetState): Chosen {
  const {
    worker,
    epoch,
    rank,
    cachedTokens,
    predictedTokens,
    costMs,
    errorMs,
    queueMs,
    prefillMs,
    transferMs,
    tierMs,
    decodeMs,
  } = target;
  return {
    worker,
    epoch,
    rank,
    cachedTokens,
    predictedTokens,
    costMs,
    errorMs,
    queueMs,
    prefillMs,
    transferMs,
    tierMs,
    decodeMs,
  };
}
