import { RuntimeError } from "../runtime-error.ts";

/** Another life of the same id took over. */
export function fenced(id: string, epoch: string, owner: string): RuntimeError {
  return new RuntimeError({
    code: "RUNTIME_EPOCH_FENCED",
    kind: "unavailable",
    message: `${id} belongs to its life ${owner} now; life ${epoch} must stop serving.`,
    data: { id, epoch, owner },
  });
}

export function discoveryFailed(store: string, doing: string, cause: unknown): RuntimeError {
  return new RuntimeError({
    code: "RUNTIME_DISCOVERY_FAILED",
    kind: "unavailable",
    message: `Discovery (${store}) failed at ${doing}: ${cause instanceof Error ? cause.message : String(cause)}`,
    cause,
  });
}
