import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { create } from "@bufbuild/protobuf";
import {
  ObserveOutcome,
  RouterService,
  SelectResponseSchema,
  type RoutedPrompt,
  type SelectResponse,
} from "@stator/contracts";
import { createRequest, StatorError, systemClock, type ErrorKind } from "@stator/core";
import type { NowClock } from "../selector/options.ts";
import type { Decision, SelectRequest, Selector } from "../selector/selector.ts";
import { kvBatchOfMessage } from "./kv-batch-of-message.ts";
import { namesOfBytes } from "./names-on-wire.ts";
import { createBatchJoiner } from "../replicas/batch-parts.ts";
import type { PeerChannel } from "../replicas/peer-channel.ts";
import { createReservations } from "./reservations.ts";
import { cardOfMessage, workerOfMessage } from "./worker-of-message.ts";

export interface RouterServiceOptions {
  readonly selector: Selector;
  /** How long a reservation outlives its last progress, in milliseconds, unless the caller says. Default 60000. */
  readonly leaseMs?: number;
  /** Default: the machine's monotonic clock. */
  readonly clock?: NowClock;
  /** Answers `Replicate`, by which other routers join this one. Default: unimplemented. */
  readonly peers?: PeerChannel;
}

/** A selector served to other processes. */
export interface RouterServiceHandle {
  /** For `connectNodeAdapter({ routes })` and its like. */
  routes(router: ConnectRouter): void;
  /** Reservations in force. */
  readonly reservations: number;
}

/** Default of `RouterServiceOptions.leaseMs`. */
export const DEFAULT_RESERVATION_LEASE_MS: number = 60_000;

const outcomes = {
  applied: ObserveOutcome.APPLIED,
  duplicate: ObserveOutcome.DUPLICATE,
  gap: ObserveOutcome.GAP,
  stale: ObserveOutcome.STALE,
} as const;

const codes: Partial<Record<ErrorKind, Code>> = {
  invalid: Code.InvalidArgument,
  notFound: Code.NotFound,
  unavailable: Code.Unavailable,
  overloaded: Code.ResourceExhausted,
  incompatible: Code.FailedPrecondition,
};

/** Serves `RouterService` of @stator/contracts over a selector. */
export function createRouterService(options: RouterServiceOptions): RouterServiceHandle {
  const { selector, leaseMs = DEFAULT_RESERVATION_LEASE_MS, clock = systemClock } = options;
  const reservations = createReservations(clock);
  const joiner = createBatchJoiner();

  function promptOf(message: RoutedPrompt | undefined): SelectRequest {
    if (message === undefined) throw new ConnectError("prompt is missing", Code.InvalidArgument);
    const hints = {
      ...(message.sessionId === "" ? {} : { sessionId: message.sessionId }),
      ...(Object.keys(message.requireLabels).length === 0 ? {} : { requireLabels: message.requireLabels }),
      ...(message.pinWorker === ""
        ? {}
        : {
            pin: {
              worker: message.pinWorker,
              ...(message.pinRank === undefined ? {} : { rank: message.pinRank }),
            },
          }),
    };
    const avoid = message.avoid.map((life) => {
      const at = life.lastIndexOf("@");
      return { worker: life.slice(0, at), epoch: life.slice(at + 1) };
    });
    const prepared = selector.prepare(
      createRequest({
        id: message.id,
        model: "",
        promptIds: Uint32Array.from(message.promptIds),
        avoid,
        hints,
        ...(message.adapter === "" ? {} : { adapter: message.adapter }),
        ...(message.tenantSalt === "" ? {} : { tenantSalt: message.tenantSalt }),
      }),
    );
    return {
      ...prepared,
      ...(message.promptIds.length > 0
        ? {}
        : { names: namesOfBytes(message.sequenceHashes), promptTokens: message.promptTokens }),
      ...(message.expectedOutputTokens === undefined
        ? {}
        : { expectedOutputTokens: message.expectedOutputTokens }),
    };
  }

  return {
    get reservations() {
      reservations.sweep();
      return reservations.size;
    },
    routes(router) {
      router.service(RouterService, {
        addWorker: (request) =>
          translated(() => {
            const worker = workerOfMessage(request);
            if (worker === undefined) throw new ConnectError("worker is missing", Code.InvalidArgument);
            selector.addWorker(worker, cardOfMessage(request));
            return {};
          }),
        removeWorker({ worker, epoch }) {
          selector.removeWorker(worker, epoch);
          return {};
        },
        observe(request) {
          const results = request.batches.map((message) => {
            const { part, partial } = message;
            const batch = joiner.add({ batch: kvBatchOfMessage(message), part, isPartial: partial });
            // More of the batch is to come; a batch with a hole is none, and the next one shows the gap.
            return batch === undefined ? ObserveOutcome.UNSPECIFIED : outcomes[selector.observe(batch)];
          });
          const last = request.batches.at(-1);
          return { outcomes: results, nextSequence: (last && selector.nextSequence(last.worker)) ?? 0n };
        },
        select: (request) =>
          responseOf(selector.select(promptOf(request.prompt), { explain: request.explain })),
        reserve: (request) =>
          translated(() => {
            const decision = selector.select(promptOf(request.prompt), { explain: request.explain });
            if (decision.chosen === undefined) throw new ConnectError(decision.reason, Code.Unavailable);
            const reservation = reservations.add(selector.book(decision), request.leaseMs ?? leaseMs);
            return { reservation, selection: responseOf(decision) };
          }),
        progress(request) {
          const booking = reservations.renew(request.reservation);
          if (booking === undefined) return { known: false };
          if (request.prefilled) {
            booking.prefilled(
              request.cachedTokens === undefined ? undefined : { cachedTokens: request.cachedTokens },
            );
          }
          if (request.outputTokens > 0) booking.progress(request.outputTokens);
          return { known: true };
        },
        release({ reservation }) {
          reservations.release(reservation);
          return {};
        },
        ...(options.peers === undefined
          ? {}
          : { replicate: (requests, { signal }) => options.peers!.accept(requests, signal) }),
        dump: () => ({
          targets: selector.loads().map(({ prefill, prediction, probe, ...load }) => ({
            ...load,
            probe: probe.outcome,
            probeDetail: probe.detail ?? "",
            prefillFixedMs: prefill.fixedMs,
            prefillMsPerToken: prefill.msPerToken,
            prefillErrorMs: prefill.errorMs,
            predictedTokens: BigInt(Math.round(prediction.predictedTokens)),
            actualTokens: BigInt(Math.round(prediction.actualTokens)),
            distrusted: prediction.isDistrusted,
            understated: prediction.isUnderstated,
          })),
        }),
      });
    },
  };
}

function translated<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!StatorError.isInstance(error)) throw error;
    throw new ConnectError(error.message, codes[error.kind] ?? Code.Internal);
  }
}

function responseOf(decision: Decision): SelectResponse {
  const { chosen, explanation } = decision;
  return create(SelectResponseSchema, {
    ...(chosen === undefined
      ? {}
      : {
          chosen: {
            worker: chosen.worker,
            epoch: chosen.epoch,
            rank: chosen.rank,
            cachedTokens: chosen.cachedTokens,
            costMs: chosen.costMs,
            errorMs: chosen.errorMs,
          },
        }),
    policy: decision.policy,
    reason: decision.reason,
    candidates: (explanation?.candidates ?? []).map((candidate) => ({
      ...candidate,
      terms: { ...candidate.terms },
    })),
    decisionMs: explanation?.decisionMs ?? 0,
  });
}
