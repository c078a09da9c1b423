import { createBlockNamer } from "@stator/core";
import type { Holding, Selector } from "../selector/selector.ts";

export interface IndexerHandlerOptions {
  /** Selectors by model name; each is one index. */
  readonly models: Readonly<Record<string, Selector>>;
}

interface Query {
  readonly model?: string;
  readonly model_name?: string;
  readonly lora_name?: string | null;
  readonly token_ids?: readonly number[];
  readonly seq_hashes?: readonly (number | string)[];
  readonly block_hash?: readonly (number | string)[];
  readonly tenant_id?: string;
  readonly instance_id?: string;
  readonly block_size?: number;
  readonly cache_salt?: string | null;
}

interface InstanceHit {
  longest_matched: number;
  GPU: number;
  CPU: number;
  DISK: number;
  readonly DP: Record<string, number>;
}

/**
 * The query API of the Mooncake indexer RFC (kvcache-ai/Mooncake#1403) over selectors, as a Fetch handler: `POST /query`
 * by token ids, `POST /query_by_hash` by rolling sequence hashes, `GET /workers`. Tokens on a medium are those of the
 * matched prefix whose best tier it is. Hashes above 2^53 must be strings, or digits in a JSON body: those are kept exact.
 */
export function createIndexerHandler(
  options: IndexerHandlerOptions,
): (request: Request) => Promise<Response> {
  return async (request) => {
    const { pathname } = new URL(request.url);
    if (request.method === "GET" && pathname === "/workers") return Response.json(workers(options.models));
    if (pathname !== "/query" && pathname !== "/query_by_hash")
      return problem(404, `There is no ${pathname}.`);
    if (request.method !== "POST") return problem(405, `${pathname} takes POST.`);
    let query: Query;
    try {
      query = JSON.parse(quoteBigIntegers(await request.text())) as Query;
    } catch {
      return problem(400, "The body is no JSON.");
    }
    const model = query.model ?? query.model_name ?? "";
    const selector = options.models[model];
    if (selector === undefined) return problem(404, `There is no model "${model}" here.`);
    const { blockTokens } = selector;
    if (blockTokens === undefined) return Response.json({ [query.tenant_id ?? "default"]: {} });
    if (query.block_size !== undefined && query.block_size !== blockTokens) {
      return problem(
        400,
        `block_size is ${query.block_size}; the index of "${model}" has blocks of ${blockTokens} tokens.`,
      );
    }
    let names: BigUint64Array;
    try {
      names = pathname === "/query" ? namesOfTokens(query, blockTokens) : namesOfHashes(query);
    } catch {
      return problem(
        400,
        pathname === "/query"
          ? "token_ids must be an array of token ids."
          : "seq_hashes must be an array of unsigned 64-bit hashes.",
      );
    }
    const hits = hitsOf(selector.holdings(names), blockTokens, query.instance_id);
    return Response.json({ [query.tenant_id ?? "default"]: hits });
  };
}

function namesOfTokens(query: Query, blockTokens: number): BigUint64Array {
  const ids = query.token_ids;
  if (!Array.isArray(ids) || !ids.every((id) => Number.isInteger(id) && id >= 0 && id <= 0xffffffff))
    throw new TypeError();
  const namer = createBlockNamer({
    blockTokens,
    ...(query.lora_name == null ? {} : { adapter: query.lora_name }),
    ...(query.cache_salt == null ? {} : { salt: query.cache_salt }),
  });
  return namer.append(Uint32Array.from(ids));
}

function namesOfHashes(query: Query): BigUint64Array {
  const hashes = query.seq_hashes ?? query.block_hash;
  if (!Array.isArray(hashes)) throw new TypeError();
  return BigUint64Array.from(hashes as (number | string)[], (hash) => BigInt(hash));
}

function hitsOf(
  holdings: readonly Holding[],
  blockTokens: number,
  instance: string | undefined,
): Record<string, InstanceHit> {
  const hits: Record<string, InstanceHit> = {};
  for (const { worker, rank, blocks, hostBlocks, diskBlocks } of holdings) {
    if (instance !== undefined && worker !== instance) continue;
    const hit = (hits[worker] ??= { longest_matched: 0, GPU: 0, DP: {}, CPU: 0, DISK: 0 });
    hit.DP[rank] = blocks * blockTokens;
    hit.longest_matched = Math.max(hit.longest_matched, blocks * blockTokens);
    hit.GPU = Math.max(hit.GPU, (blocks - hostBlocks - diskBlocks) * blockTokens);
    hit.CPU = Math.max(hit.CPU, hostBlocks * blockTokens);
    hit.DISK = Math.max(hit.DISK, diskBlocks * blockTokens);
  }
  return hits;
}

function workers(models: Readonly<Record<string, Selector>>): object[] {
  return Object.entries(models).flatMap(([model, selector]) =>
    selector.loads().map((load) => ({
      instance_id: load.worker,
      model_name: model,
      dp_rank: load.rank,
      block_size: selector.blockTokens,
      indexed_blocks: load.indexedBlocks,
    })),
  );
}

/** Numbers of 16 digits and more, SGLang's signed ones too, outside of strings become strings: JSON.parse would round them. */
function quoteBigIntegers(json: string): string {
  return json.replace(/"(?:[^"\\]|\\.)*"|-?\b\d{16,20}\b(?![.eE])/g, (match) =>
    match.startsWith('"') ? match : `"${match}"`,
  );
}

function problem(status: number, error: string): Response {
  return Response.json({ error }, { status });
}
