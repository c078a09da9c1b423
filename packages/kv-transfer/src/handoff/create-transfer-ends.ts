import { silentLogger } from "@stator/core";
import { createAgent } from "../agent/create-agent.ts";
import type { TransferAgent, TransferAgentOptions } from "../agent/transfer-agent.ts";
import { loadTransferAddon } from "../native/transfer-addon.ts";
import { cma } from "../transport/cma.ts";
import { loopback } from "../transport/loopback.ts";
import { sharedMemory } from "../transport/shared-memory.ts";
import { tcp } from "../transport/tcp.ts";
import type { Transport } from "../transport/transport.ts";
import { createHandoffSink, type HandoffSink } from "./handoff-sink.ts";
import { createHandoffSource, type HandoffSource } from "./handoff-source.ts";

/** Both ends of KV handoffs on one agent, as an engine takes them. */
export interface TransferEnds extends AsyncDisposable {
  readonly agent: TransferAgent;
  readonly source: HandoffSource;
  readonly sink: HandoffSink;
  /** Ends the agent: running fetches fail, offers are freed. */
  close(): Promise<void>;
}

/**
 * An agent with both handoff ends.
 *
 * @param options default transports: within the process, on Linux cross-memory attach (with the native addon) and shared memory, and TCP on 127.0.0.1.
 */
export async function createTransferEnds(options: Partial<TransferAgentOptions> = {}): Promise<TransferEnds> {
  const agent = await openAgent(options);
  return {
    agent,
    source: createHandoffSource({ agent }),
    sink: createHandoffSink({ agent }),
    close: () => agent.close(),
    [Symbol.asyncDispose]: () => agent.close(),
  };
}

async function openAgent(options: Partial<TransferAgentOptions>): Promise<TransferAgent> {
  const anywhere: readonly Transport[] = [loopback(), tcp()];
  if (options.transports !== undefined) return createAgent({ ...options, transports: options.transports });
  if (process.platform !== "linux") return createAgent({ ...options, transports: anywhere });
  const onHost = [loopback(), ...(loadTransferAddon().isAvailable ? [cma()] : []), sharedMemory(), tcp()];
  try {
    return await createAgent({ ...options, transports: onHost });
  } catch (error) {
    (options.logger ?? silentLogger).warn("no memory is shared on this host; KV goes over TCP", {
      reason: error instanceof Error ? error.message : String(error),
    });
    return createAgent({ ...options, transports: anywhere });
  }
}
