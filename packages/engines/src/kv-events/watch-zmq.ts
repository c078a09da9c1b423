import type { EventSink, EventWatch, ServerFacts } from "../server/server-driver.ts";
import { ofRank, parseFeedAddress } from "./feed-address.ts";
import { createEventNamer } from "./name-events.ts";
import { readZmqFeed } from "./zmq-feed.ts";

/**
 * Reads the events of every rank of a vLLM or SGLang server, named as we name blocks.
 *
 * @param address `tcp://host:port`, with `?replay=port` where the engine has a replay endpoint.
 */
export function watchZmq(address: string, facts: ServerFacts, { onEvents, logger }: EventSink): EventWatch {
  const { endpoint, replay } = parseFeedAddress(address);
  const namer = createEventNamer({
    blockTokens: facts.blockTokens,
    onSkipped: (reason) => logger.warn("KV events are left out", { endpoint, reason }),
  });
  const stops = new Set<() => void>();
  let isStopped = false;
  for (let rank = 0; rank < (facts.ranks ?? 1); rank++) {
    const reading = readZmqFeed({
      endpoint: ofRank(endpoint, rank),
      replay: replay === undefined ? undefined : ofRank(replay, rank),
      logger,
      onBatch: (batch) => onEvents(namer.apply(batch.rank ?? rank, batch.events)),
      onLost(reason) {
        logger.warn("KV events got lost; what the engine holds is learnt anew", { endpoint, rank, reason });
        onEvents(namer.clear(rank));
      },
    });
    reading.then(
      (stop) => (isStopped ? stop() : stops.add(stop)),
      (error: unknown) => logger.error("KV events cannot be read", { endpoint, error: String(error) }),
    );
  }
  return {
    snapshot: () => namer.snapshot(),
    stop() {
      isStopped = true;
      for (const stop of stops) stop();
      stops.clear();
    },
  };
}
