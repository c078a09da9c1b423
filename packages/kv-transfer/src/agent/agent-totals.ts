import type { TransferOperation } from "../transport/transport.ts";

/** What went one way since the agent was made. */
export interface PathTotals {
  /** Names of the transports, joined by `+`. */
  readonly path: string;
  readonly operation: TransferOperation;
  readonly transfers: number;
  readonly bytes: number;
}

/** What an agent did since it was made. */
export interface AgentTotals {
  readonly paths: readonly PathTotals[];
  /** Transfers that failed, by error code. */
  readonly failures: ReadonlyMap<string, number>;
}

export interface TotalsBook extends AgentTotals {
  done(path: string, operation: TransferOperation, bytes: number): void;
  failed(code: string): void;
}

export function createTotalsBook(): TotalsBook {
  const paths = new Map<
    string,
    { path: string; operation: TransferOperation; transfers: number; bytes: number }
  >();
  const failures = new Map<string, number>();
  return {
    get paths() {
      return [...paths.values()].map((totals) => ({ ...totals }));
    },
    failures,
    done(path, operation, bytes) {
      const key = operation === "read" ? path : `${path}>`;
      let totals = paths.get(key);
      if (totals === undefined) paths.set(key, (totals = { path, operation, transfers: 0, bytes: 0 }));
      totals.transfers += 1;
      totals.bytes += bytes;
    },
    failed: (code) => void failures.set(code, (failures.get(code) ?? 0) + 1),
  };
}
