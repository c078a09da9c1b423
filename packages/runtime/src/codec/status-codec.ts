import { create } from "@bufbuild/protobuf";
import { StatusSchema, type Load as WireLoad, type Status as Wire } from "@stator/contracts";
import type { EngineLoad, EngineStatus } from "@stator/core";
import { given } from "./names.ts";

/** Everything of a status but its events, which travel beside it. */
export function statusToWire(status: EngineStatus): Wire {
  return create(StatusSchema, {
    step: BigInt(Math.trunc(status.step)),
    stepAgeMs: status.stepAgeMs,
    stepExpectedMs: status.stepExpectedMs,
    load: status.load,
    ranks: [...(status.ranks ?? [])],
    draining: status.isDraining ?? false,
    ...given("unfit", status.unfit),
  });
}

export function statusFromWire(wire: Wire): EngineStatus {
  return {
    step: Number(wire.step),
    stepAgeMs: wire.stepAgeMs,
    stepExpectedMs: wire.stepExpectedMs,
    load: loadFromWire(wire.load),
    ...(wire.ranks.length === 0 ? {} : { ranks: wire.ranks.map(loadFromWire) }),
    ...(wire.draining ? { isDraining: true } : {}),
    ...given("unfit", wire.unfit),
  };
}

function loadFromWire(load: WireLoad | undefined): EngineLoad {
  return {
    running: load?.running ?? 0,
    waiting: load?.waiting ?? 0,
    queuedPrefillTokens: load?.queuedPrefillTokens ?? 0,
    kvBlocksUsed: load?.kvBlocksUsed ?? 0,
    kvBlocksTotal: load?.kvBlocksTotal ?? 0,
    ...(load === undefined || load.kvBlocksLeaked === 0 ? {} : { kvBlocksLeaked: load.kvBlocksLeaked }),
  };
}
