/** Files of a new project, by name. */
export function projectFiles(name: string, version: string): Readonly<Record<string, string>> {
  const range = `^${version}`;
  return {
    "package.json": `${JSON.stringify(
      {
        name,
        private: true,
        type: "module",
        scripts: {
          start: "stator up layout.yaml",
          worker: "tsx worker.ts",
          serve: "tsx main.ts",
          test: "vitest run",
          check: "tsc",
        },
        dependencies: {
          "@stator/core": range,
          "@stator/engines": range,
          "@stator/frontend": range,
          "@stator/metrics": range,
          "@stator/router": range,
          "@stator/runtime": range,
          "node-llama-cpp": "^3.21.0",
          stator: range,
        },
        devDependencies: {
          "@stator/testing": range,
          "@types/node": "^20.19.0",
          tsx: "^4.23.0",
          typescript: "^6.0.0",
          vitest: "^4.1.0",
        },
      },
      undefined,
      2,
    )}\n`,
    "tsconfig.json": `${JSON.stringify(
      {
        compilerOptions: {
          target: "es2023",
          module: "nodenext",
          strict: true,
          noEmit: true,
          allowImportingTsExtensions: true,
          skipLibCheck: true,
          types: ["node"],
        },
        include: ["*.ts"],
      },
      undefined,
      2,
    )}\n`,
    "graph.ts": `import { createPool, disaggregated, migrating, uncachedTokensAbove } from "@stator/router";
import type { Engine } from "@stator/core";
import type { Runtime } from "@stator/runtime";

/** A graph is a function of a runtime; the same file serves in production and in tests. */
export const graph = (runtime: Runtime): Record<string, Engine> => {
  const prefill = createPool({ workers: runtime.workers({ model: "tiny", role: "prefill" }) });
  const decode = createPool({ workers: runtime.workers({ model: "tiny", role: "decode" }) });
  return { tiny: migrating(disaggregated({ prefill, decode, when: uncachedTokensAbove(64) })) };
};
`,
    "main.ts": `import { createOpenAIServer } from "@stator/frontend";
import { createMetrics } from "@stator/metrics";
import { closeOnSignal, createRuntime, fileDiscovery } from "@stator/runtime";
import { graph } from "./graph.ts";

const metrics = createMetrics();
const runtime = await createRuntime({ discovery: fileDiscovery(), metrics });
const server = createOpenAIServer({ models: graph(runtime), metrics });
const { url } = await server.listen({ port: 8000 });
console.log(\`listening on \${url}\`);
await closeOnSignal(server, runtime);
`,
    "worker.ts": `import { createLlamaEngine, tinyModelPath } from "@stator/engines/llama";
import { closeOnSignal, createRuntime, fileDiscovery } from "@stator/runtime";

const role = process.argv[2] === "prefill" ? "prefill" : "decode";
const runtime = await createRuntime({ discovery: fileDiscovery() });
const engine = await createLlamaEngine({ model: "tiny", modelPath: tinyModelPath() });
const { worker } = await runtime.serveEngine(engine, { role });
console.log(\`\${role} worker \${worker.id} is ready\`);
await closeOnSignal(runtime, engine);
`,
    "layout.yaml": `models:
  tiny:
    disaggregateAboveTokens: 64
    pools:
      prefill: { role: prefill, replicas: 1, engine: { kind: llama } }
      decode: { role: decode, replicas: 2, engine: { kind: llama } }
frontend: { port: 8000 }
`,
    "graph.test.ts": `import { createRequest } from "@stator/core";
import { collect, createTestCluster } from "@stator/testing";
import { expect, test } from "vitest";
import { graph } from "./graph.ts";

const request = createRequest({
  id: "1",
  model: "tiny",
  promptIds: Uint32Array.from({ length: 100 }, (_, i) => 3 + i),
  limits: { maxTokens: 24, ignoreEos: true },
});

test("a decode worker may die in the middle: the output is the same", async () => {
  await using cluster = await createTestCluster({
    workers: [
      { model: "tiny", role: "prefill", count: 1 },
      { model: "tiny", role: "decode", count: 2 },
    ],
  });
  const run = collect(graph(cluster.runtime)["tiny"]!, request);
  cluster.kill("decode-0", { afterTokens: 5 });
  expect(await run).toEqual(await cluster.undisturbed(request));
});
`,
    "README.md": `# ${name}

\`npm install\`, then \`npm start\`: one prefill and two decode workers around a frontend on port 8000, on the bundled tiny model.
\`graph.ts\` is the graph, \`main.ts\` and \`worker.ts\` are the processes by hand, \`npm test\` kills a worker.
`,
  };
}
