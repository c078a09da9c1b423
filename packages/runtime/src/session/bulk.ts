import { create } from "@bufbuild/protobuf";
import { FetchRequestSchema, type FetchRequest, type FetchResponse } from "@stator/contracts";
import type { KvEventBatch } from "@stator/core";
import { createBatchAssembler } from "../codec/kv-event-codec.ts";
import { RuntimeError } from "../runtime-error.ts";
import { longestBulkBytes } from "./limits.ts";
import type { SessionPort } from "./session-port.ts";

/** Bytes over the bulk service, at most 64 MiB. */
export async function fetchBytes(
  port: SessionPort,
  worker: string,
  what: FetchRequest["what"],
  signal: AbortSignal,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let total = 0;
  for await (const { data } of port.fetch(create(FetchRequestSchema, { worker, what }), signal)) {
    total += data.length;
    if (total > longestBulkBytes) {
      throw new RuntimeError({
        code: "RUNTIME_REQUEST_TOO_LARGE",
        kind: "invalid",
        message: `A bulk answer exceeds ${longestBulkBytes} bytes.`,
      });
    }
    parts.push(data);
  }
  const bytes = new Uint8Array(total);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** The KV blocks that a life of a worker holds now. @throws Error when it is another life. */
export async function fetchSnapshot(
  port: SessionPort,
  own: { readonly worker: string; readonly epoch: string },
  signal: AbortSignal,
): Promise<KvEventBatch> {
  const { worker, epoch } = own;
  const pieces = createBatchAssembler(own);
  const request = create(FetchRequestSchema, { worker, what: { case: "snapshot", value: { epoch } } });
  let snapshot: KvEventBatch | undefined;
  for await (const { events } of port.fetch(request, signal) as AsyncIterable<FetchResponse>) {
    if (events !== undefined) snapshot = pieces.add(events) ?? snapshot;
  }
  if (snapshot === undefined || snapshot.epoch !== epoch) throw new Error(`no snapshot of life ${epoch}`);
  return snapshot;
}
