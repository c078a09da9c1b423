import { EnginesError } from "../errors/engines-error.ts";

/** Where an engine publishes its KV events. */
export interface FeedAddress {
  /** Of rank 0, `tcp://host:port`; further ranks follow at the next ports. With `*` as host we listen and engines connect. */
  readonly endpoint: string;
  /** Of rank 0; events that got lost are asked for there. */
  readonly replay: string | undefined;
}

/**
 * Reads `tcp://host:port`, or `tcp://host:port?replay=port`, the form of `--kv-events`.
 *
 * @throws EnginesError `ENGINES_OPTION_INVALID`
 */
export function parseFeedAddress(text: string): FeedAddress {
  const match = /^((?:tcp|ipc):\/\/[^?]+?)(?:\?replay=(.+))?$/.exec(text);
  const [, endpoint, replay] = match ?? [];
  const hasPort = endpoint?.startsWith("ipc:") === true || /:\d+$/.test(endpoint ?? "");
  if (endpoint === undefined || !hasPort) {
    throw new EnginesError({
      code: "ENGINES_OPTION_INVALID",
      kind: "invalid",
      message: `kvEvents: "${text}" is no feed; expected tcp://host:port or tcp://host:port?replay=port.`,
    });
  }
  if (replay === undefined) return { endpoint, replay: undefined };
  return { endpoint, replay: /^\d+$/.test(replay) ? endpoint.replace(/:\d+$/, `:${replay}`) : replay };
}

/** The address of another rank: engines add the rank to the port, or to the path of a socket file. */
export function ofRank(endpoint: string, rank: number): string {
  if (rank === 0) return endpoint;
  const match = /^(.*:)(\d+)$/.exec(endpoint);
  return match === null ? `${endpoint}_dp${rank}` : `${match[1]}${Number(match[2]) + rank}`;
}
