import type {
  Connector,
  EngineLoad,
  GenerateRequest,
  Handoff,
  KvEvent,
  Logger,
  ModelCard,
  TokenBatch,
} from "@stator/core";
import type { ServerClient } from "./http/server-client.ts";

/** What a server says of itself. */
export interface ServerFacts {
  readonly model: string;
  readonly contextTokens: number;
  readonly blockTokens: number;
  readonly kvBlocks: number;
  readonly adapters: readonly string[];
  /** Part of the weights' identity, when the server tells. */
  readonly weights?: string;
  readonly kvLayout?: string;
  /** Data-parallel ranks behind the address. Default 1. */
  readonly ranks?: number;
  /** Requests it runs at once, when it tells. */
  readonly sequences?: number;
  /** Connectors that only a look at the server completes; default: those of the driver. */
  readonly connectors?: readonly Connector[];
  readonly chatTemplate?: string;
  /** Ids are below it; asked for where no tokenizer is given. */
  readonly vocabulary?: number;
}

/** Load of the whole server, and of each rank where there are several. */
export interface ServerLoad extends EngineLoad {
  readonly ranks?: readonly EngineLoad[];
}

export interface EventSink {
  /** Events in order; an empty list is no news. */
  readonly onEvents: (events: readonly KvEvent[]) => void;
  readonly logger: Logger;
}

/** One kind of server: its wire and its habits. Made for one engine; may keep state of it. */
export interface ServerDriver {
  readonly kind: string;
  /** What this kind carries over when it resumes. */
  readonly resume: ModelCard["resume"];
  /** How it can constrain output. */
  readonly grammars: NonNullable<ModelCard["grammars"]>;
  readonly connectors: readonly Connector[];
  /** An id beyond its vocabulary ends the server, with all that it serves: whoever does not tell the bound is warned. */
  readonly diesOfUnknownIds?: boolean;
  probe(client: ServerClient, signal: AbortSignal): Promise<ServerFacts>;
  load(client: ServerClient, facts: ServerFacts, signal: AbortSignal): Promise<ServerLoad>;
  /** Handoffs that it yields need no `compatibilityDigest`: the engine fills the card's in. */
  generate(
    client: ServerClient,
    request: GenerateRequest,
    facts: ServerFacts,
    signal: AbortSignal,
  ): AsyncIterable<TokenBatch>;
  /** Starts reading KV events, if the kind has any; the reader also keeps what a snapshot needs. */
  watchEvents?(client: ServerClient, facts: ServerFacts, sink: EventSink): EventWatch;
  renewHandoff?(handoff: Handoff): void;
  /** Frees its KV, where the server can be told to. */
  releaseHandoff?(handoff: Handoff): void;
  /** Where it cannot: how long it keeps KV for a decode that does not come, in ms. */
  readonly holdMs?: number;
  close?(): void;
}

/** A running reader of an engine's KV events. */
export interface EventWatch {
  /** Everything that is held, as events. */
  snapshot(): readonly KvEvent[];
  stop(): void;
}
