// `npm run demo`: a graph under load, a worker killed in the middle of its streams, and the same text all the same.
import { fileURLToPath } from "node:url";
import { overrideLayout, readLayout, runLoad, up, type LoadReport, type RequestOutcome } from "stator";

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const layoutFile = fileURLToPath(new URL("../quickstart/layout.yaml", import.meta.url));
const main = fileURLToPath(import.meta.resolve("stator/main"));
const silent = { debug() {}, info() {}, warn() {}, error() {} };

say("1. Two prefill and two decode processes, one frontend, llama.cpp with the bundled tiny model");
const layout = overrideLayout(await readLayout(layoutFile, `tour-${process.pid}`), { port: 0 });
await using running = await up({ layout, main, logLevel: "silent", logger: silent });
for (const { spec, pid } of running.supervisor.processes) say(`   ${spec.name.padEnd(16)} pid ${pid}`);
say(`   listening on ${running.url}\n`);

interface Round {
  readonly report: LoadReport;
  readonly outcomes: Map<number, RequestOutcome>;
}

/** The same 24 requests each time, 8 at once; `onHalf` runs when a third of them is done. */
async function round(title: string, onHalf?: () => void): Promise<Round> {
  const outcomes = new Map<number, RequestOutcome>();
  let hasRun = false;
  const report = await runLoad({
    url: running.url,
    requests: 24,
    concurrency: 8,
    inputWords: 48,
    sharedWords: 16,
    outputTokens: 192,
    temperature: 0.8,
    onRequest: (outcome) => outcomes.set(outcome.index, outcome),
    onProgress({ finished, outputTokens, elapsedMs }) {
      say(
        `   ${title}: ${String(finished).padStart(2)}/24 done, ${Math.round((outputTokens / elapsedMs) * 1000)} tokens/s`,
      );
      if (finished < 8 || hasRun) return;
      hasRun = true;
      onHalf?.();
    },
  });
  return { report, outcomes };
}

say("2. 24 streams, undisturbed");
const calm = await round("undisturbed");
say("\n3. The same 24 streams, and a decode worker killed in the middle");
const before = await migrations();
const disturbed = await round("disturbed  ", () => {
  const victim = running.supervisor.find("tiny-decode-0");
  say(`   >>> SIGKILL tiny-decode-0, pid ${victim?.pid}`);
  victim?.signal("SIGKILL");
});
const moved = (await migrations()) - before;

const identical = [...disturbed.outcomes].filter(
  ([index, { ok, text }]) => ok && text === calm.outcomes.get(index)?.text,
).length;
const row = (name: string, a: string | number, b: string | number): void =>
  say(`   ${name.padEnd(28)}${String(a).padStart(14)}${String(b).padStart(14)}`);
say("\n4. What the clients saw");
row("", "undisturbed", "worker killed");
row("requests", calm.report.requests, disturbed.report.requests);
row("lost", calm.report.failed, disturbed.report.failed);
row("streams moved while running", 0, moved);
row("texts identical", "", `${identical} of 24`);
row("TTFT p50, ms", calm.report.ttftMs.p50.toFixed(0), disturbed.report.ttftMs.p50.toFixed(0));
row("longest pause in a stream, ms", calm.report.itlMs.max.toFixed(0), disturbed.report.itlMs.max.toFixed(0));
row("prompt tokens from cache", percent(calm.report.cachedRatio), percent(disturbed.report.cachedRatio));

await running.supervisor.find("tiny-decode-0")?.ready();
say(`\n5. The supervisor brought tiny-decode-0 back as pid ${running.supervisor.find("tiny-decode-0")?.pid}`);
say(identical === 24 ? "   Nothing was lost." : "   Something was lost: please report this.");
process.exitCode = identical === 24 && disturbed.report.failed === 0 ? 0 : 1;

/** Streams that went on elsewhere, from the frontend's own metrics. */
async function migrations(): Promise<number> {
  const text = await (await fetch(new URL("/metrics", running.url))).text();
  return [...text.matchAll(/^stator_migrations_total\{[^}]*\} (\d+)/gm)].reduce(
    (sum, [, value]) => sum + Number(value),
    0,
  );
}

function percent(ratio: number): string {
  return `${Math.round(ratio * 100)} %`;
}
