import { create } from "@bufbuild/protobuf";
import {
  ConnectorStyle,
  FirstEmitter,
  HandoffOutcome,
  HandoffSchema,
  type Handoff as Wire,
} from "@stator/contracts";
import type { ConnectorStyle as Style, Handoff, HandoffOutcome as Outcome } from "@stator/core";
import { given, names, type Names } from "./names.ts";

export const styles: Names<Style, ConnectorStyle> = names<Style, ConnectorStyle>({
  sequential: ConnectorStyle.SEQUENTIAL,
  rendezvous: ConnectorStyle.RENDEZVOUS,
  addressed: ConnectorStyle.ADDRESSED,
});

const emitters = names<Handoff["firstEmittedBy"], FirstEmitter>({
  prefill: FirstEmitter.PREFILL,
  decode: FirstEmitter.DECODE,
  nobody: FirstEmitter.NOBODY,
});

export const outcomes: Names<Outcome, HandoffOutcome> = names<Outcome, HandoffOutcome>({
  taken: HandoffOutcome.TAKEN,
  abandoned: HandoffOutcome.ABANDONED,
});

export function handoffToWire(handoff: Handoff): Wire {
  return create(HandoffSchema, {
    connector: handoff.connector,
    style: styles.number(handoff.style),
    opaque: handoff.opaque,
    ...given("room", handoff.room),
    ...given("source", handoff.source),
    heldTokens: handoff.heldTokens,
    firstIds: [...handoff.firstIds],
    firstEmittedBy: emitters.number(handoff.firstEmittedBy),
    compatibilityDigest: handoff.compatibilityDigest,
    ...given("lease", handoff.lease),
  });
}

export function handoffFromWire(wire: Wire): Handoff {
  return {
    connector: wire.connector,
    style: styles.word(wire.style, "sequential"),
    // A copy: the wire's bytes are a view that would pin its whole message.
    opaque: new Uint8Array(wire.opaque),
    ...given("room", wire.room),
    ...given(
      "source",
      wire.source && { worker: wire.source.worker, epoch: wire.source.epoch, rank: wire.source.rank },
    ),
    heldTokens: wire.heldTokens,
    firstIds: wire.firstIds,
    firstEmittedBy: emitters.word(wire.firstEmittedBy, "nobody"),
    compatibilityDigest: wire.compatibilityDigest,
    ...given("lease", wire.lease && { id: wire.lease.id, durationMs: wire.lease.durationMs }),
  };
}
