import type { Engine, GenerateOptions } from "./engine.ts";
import type { GenerateRequest } from "./request.ts";

/** Runs a request to its end and returns its new output ids. */
export async function collectIds(
  engine: Engine,
  request: GenerateRequest,
  options?: Partial<GenerateOptions>,
): Promise<number[]> {
  const ids: number[] = [];
  const signal = options?.signal ?? new AbortController().signal;
  for await (const batch of engine.generate(request, { ...options, signal })) {
    for (const id of batch.ids) ids.push(id);
  }
  return ids;
}
