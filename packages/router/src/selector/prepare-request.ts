import { createBlockNamer, type GenerateRequest } from "@stator/core";
import type { SelectRequest } from "./selector.ts";

/** Names the blocks of prompt and output so far, as an engine that resumes would compute them. */
export function prepareRequest(request: GenerateRequest, blockTokens: number | undefined): SelectRequest {
  let names = new BigUint64Array(0);
  if (blockTokens !== undefined) {
    const namer = createBlockNamer({
      blockTokens,
      ...(request.adapter === undefined ? {} : { adapter: request.adapter }),
      ...(request.tenantSalt === undefined ? {} : { salt: request.tenantSalt }),
      ...(request.media === undefined ? {} : { media: request.media }),
    });
    namer.append(request.promptIds);
    if (request.outputIds.length > 0) namer.append(request.outputIds);
    names = namer.names() as BigUint64Array<ArrayBuffer>;
  }
  const expectedOutputTokens = request.hints?.expectedOutputTokens;
  return {
    id: request.id,
    names,
    promptTokens: request.promptIds.length + request.outputIds.length,
    ...(expectedOutputTokens === undefined ? {} : { expectedOutputTokens }),
    ...(request.adapter === undefined ? {} : { adapter: request.adapter }),
    ...(request.hints === undefined ? {} : { hints: request.hints }),
    ...(request.priority === undefined ? {} : { priority: request.priority }),
    avoid: request.avoid,
    phase: request.mode === "prefill" ? "prefill" : request.handoff === undefined ? "full" : "decode",
  };
}
