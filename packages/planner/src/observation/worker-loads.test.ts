import { expect, test } from "vitest";
import { readWorkerLoads } from "./worker-loads.ts";

test("a worker's load is what it runs and keeps waiting, as its busiest observer says; who does not answer is left out", async () => {
  const texts: Record<string, string> = {
    "http://one/metrics": [
      'stator_worker_running_requests{worker="decode-a",role="decode",model="m"} 3',
      'stator_worker_waiting_requests{worker="decode-a",role="decode",model="m"} 2',
      'stator_worker_running_requests{worker="decode-b",role="decode",model="m"} 0',
    ].join("\n"),
    "http://two/metrics": 'stator_worker_running_requests{worker="decode-b",role="decode",model="m"} 1',
  };
  const fetch = ((url: string) => {
    const text = texts[url];
    return text === undefined ? Promise.reject(new Error("refused")) : Promise.resolve(new Response(text));
  }) as typeof globalThis.fetch;
  const loads = await readWorkerLoads({
    urls: [...Object.keys(texts), "http://gone/metrics"],
    signal: new AbortController().signal,
    fetch,
  });
  expect([...loads]).toEqual([
    ["decode-a", 5],
    ["decode-b", 1],
  ]);
});
