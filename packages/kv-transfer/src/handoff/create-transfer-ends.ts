import { createAgent } from "../agent/create-agent.ts";
import type { TransferAgentOptions } from "../agent/transfer-agent.ts";
import { loopback } from "../transport/loopback.ts";
import { sharedMemory } from "../transport/shared-memory.ts";
import { tcp } from "../transport/tcp.ts";
import { createHandoffSink, type HandoffSink } from "./handoff-sink.ts";
import { createHandoffSource, type HandoffSource } from "./handoff-source.ts";

/** Both ends of KV handoffs on one agent, as an engine takes them. */
export interface TransferEnds extends AsyncDisposable {
  readonly source: HandoffSource;
  readonly sink: HandoffSink;
  /** Ends the agent: running fetches fail, offers are freed. */
  close(): Promise<void>;
}

/**
 * An agent with both handoff ends.
 *
 * @param options default transports: within the process, shared memory on one host, TCP on 127.0.0.1.
 */
export async function createTransferEnds(options: Partial<TransferAgentOptions> = {}): Promise<TransferEnds> {
  const agent = await createAgent({ transports: [loopback(), sharedMemory(), tcp()], ...options });
  return {
    source: createHandoffSource({ agent }),
    sink: createHandoffSink({ agent }),
    close: () => agent.close(),
    [Symbol.asyncDispose]: () => agent.close(),
  };
}
