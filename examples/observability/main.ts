// One command: a serving graph under a little load, its console, its metrics, and Prometheus where it is installed.
//   npx tsx main.ts [--port 8000] [--clients 6] [--folder ./monitoring]
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { observedGraph } from "./graph.ts";
import { sendLoad } from "./load.ts";
import { isInstalled, startPrometheus, writeMonitoring } from "./prometheus.ts";

const { values } = parseArgs({
  options: {
    port: { type: "string", default: "8000" },
    clients: { type: "string", default: "6" },
    folder: { type: "string", default: "monitoring" },
  },
});

await using graph = await observedGraph();
const { url } = await graph.server.listen({ port: Number(values.port) });
console.log(`graph     ${url}/v1/chat/completions\nconsole   ${url}/console\nmetrics   ${url}/metrics`);

const folder = resolve(values.folder);
const { config, grafana } = await writeMonitoring(folder, [new URL(url).host], "http://localhost:9090");
await using prometheus = isInstalled("prometheus") ? await startPrometheus(config, folder, 9090) : undefined;
if (prometheus !== undefined) console.log(`prometheus ${prometheus.url}/alerts`);
else {
  console.log(`prometheus is not installed. Get it with \`apt install prometheus\` or \`brew install prometheus\`, then:
  prometheus --config.file=${config}`);
}
console.log(`grafana   ${isInstalled("grafana") || isInstalled("grafana-server") ? "point it at the folder" : "is not installed; any Grafana 10 or later takes the folder"}:
  docker run --network host -v "${grafana}:/etc/grafana/provisioning" grafana/grafana
  (the board is ${grafana}/dashboards/stator-serving.json; it can be imported by hand too)`);

const stop = new AbortController();
const ended = new Promise<void>((done) => process.once("SIGINT", () => done()).once("SIGTERM", () => done()));
const load = sendLoad({ url, clients: Number(values.clients), signal: stop.signal });
await ended;
stop.abort();
await load;
