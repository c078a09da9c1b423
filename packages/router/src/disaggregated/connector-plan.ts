import type { Connector, ConnectorStyle, Handoff, Reservation } from "@stator/core";

/** How one style of connector is arranged; the state machine below knows nothing else of it. */
interface StylePlan {
  /** What prefill is told beforehand. */
  readonly prefillIsTold: "nothing" | "room" | "decodeEndpoint";
  /** Decode starts when prefill yields its handoff, or at once with what prefill was told. */
  readonly decodeStarts: "onHandoff" | "atOnce";
}

const plans: Readonly<Record<ConnectorStyle, StylePlan>> = {
  sequential: { prefillIsTold: "nothing", decodeStarts: "onHandoff" },
  rendezvous: { prefillIsTold: "room", decodeStarts: "atOnce" },
  addressed: { prefillIsTold: "decodeEndpoint", decodeStarts: "onHandoff" },
};

export interface ConnectorPlan {
  readonly connector: string;
  readonly style: ConnectorStyle;
  readonly decodeStarts: StylePlan["decodeStarts"];
  /** Sent with the prefill request, and with decode's when that starts at once. */
  readonly offer: Handoff | undefined;
}

/** Why two workers cannot hand over, or how they will. */
export function planHandoff(
  prefill: Reservation,
  decode: Reservation,
  promptTokens: number,
  random: () => number,
): ConnectorPlan | string {
  if (
    prefill.card.kvLayoutDigest !== decode.card.kvLayoutDigest ||
    prefill.card.weightsDigest !== decode.card.weightsDigest
  ) {
    return `${prefill.worker} and ${decode.worker} differ in weights or KV layout`;
  }
  const pair = commonConnector(prefill.card.connectors, decode.card.connectors);
  if (pair === undefined) return `${prefill.worker} and ${decode.worker} have no connector in common`;
  const { name: connector, style } = pair.prefill;
  const plan = plans[style];
  const endpoint = plan.prefillIsTold === "room" ? pair.prefill.endpoint : pair.decode.endpoint;
  const offer: Handoff | undefined =
    plan.prefillIsTold === "nothing"
      ? undefined
      : {
          connector,
          style,
          opaque: endpoint ?? new Uint8Array(0),
          room: roomFor(prefill.rank, random),
          source: { worker: prefill.worker, epoch: prefill.epoch, rank: prefill.rank },
          heldTokens: promptTokens,
          firstIds: [],
          firstEmittedBy: "nobody",
          compatibilityDigest: prefill.card.kvLayoutDigest,
        };
  return { connector, style, decodeStarts: plan.decodeStarts, offer };
}

function commonConnector(
  prefill: readonly Connector[],
  decode: readonly Connector[],
): { readonly prefill: Connector; readonly decode: Connector } | undefined {
  for (const one of prefill) {
    const other = decode.find((candidate) => candidate.name === one.name && candidate.style === one.style);
    if (other !== undefined) return { prefill: one, decode: other };
  }
  return undefined;
}

/** A multiple of every data-parallel size up to 16 and of 32, 64 and 72: rooms this far apart have one residue. */
const rankStride = 2_882_880n;

/** A random number below 2^53 (JSON-safe) whose residue picks prefill's rank (SGLang: room modulo data-parallel size). */
function roomFor(rank: number, random: () => number): bigint {
  return BigInt(Math.floor(random() * 2 ** 31)) * rankStride + BigInt(rank);
}
