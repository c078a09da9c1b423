// The serving figures together: `npm run bench -- serving --json` → `{ routerPath, http, addedTtftMs, rssMb }`. Each is a bench
// of its own with its options: serving-router-path, serving-http, serving-ttft, serving-memory.
// `--requests N` is how many go through the whole system for the memory figure (default 20,000).
import { parseArgs } from "node:util";
import { run as runHttp } from "./serving-http.ts";
import { run as runMemory } from "./serving-memory.ts";
import { run as runRouterPath } from "./serving-router-path.ts";
import { run as runTtft } from "./serving-ttft.ts";

export async function run(args: readonly string[]): Promise<unknown> {
  const { values } = parseArgs({
    args: [...args],
    options: { requests: { type: "string", default: "20000" } },
  });
  const { routerPath } = await runRouterPath([]);
  const http = await runHttp(["--session"]);
  const addedTtftMs = await runTtft([]);
  return { routerPath, http, addedTtftMs, rssMb: await runMemory(["--requests", values.requests]) };
}
