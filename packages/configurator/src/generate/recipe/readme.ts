import type { OperatingPoint } from "./recipe.ts";
import type { RecipePool } from "./pools.ts";
import { fitsOneHost, hostsOf } from "./pools.ts";
import type { Recipe } from "./schema.ts";

export interface ReadmeOptions {
  readonly recipe: Recipe;
  readonly pools: readonly RecipePool[];
  readonly gpusPerNode: number;
  /** From full batch down. */
  readonly points: readonly OperatingPoint[];
  /** Namespace. */
  readonly name: string;
}

const engineNames = { vllm: "vLLM", sglang: "SGLang", trtllm: "TensorRT-LLM" };

/** The page of a recipe. */
export function recipeReadme({ recipe, pools, gpusPerNode, points, name }: ReadmeOptions): string {
  const hosts = hostsOf(pools, gpusPerNode);
  const isOne = fitsOneHost(pools, gpusPerNode);
  const isMpi = recipe.engine === "trtllm" && pools.some((pool) => pool.nodes > 1);
  const round = (value: number): string => String(Math.round(value));
  // From one request per rank up to the first point that breaks the SLO.
  const rising = [...points].reverse();
  const broken = rising.findIndex(
    (point) => point.ttftMs > recipe.slo.ttftMs || point.tpotMs > recipe.slo.tpotMs,
  );
  const last = broken < 0 ? rising.length : broken + 1;
  const shown = [...new Set([0, last - 3, last - 2, last - 1])].flatMap((i) => rising[i] ?? []);
  const rows = shown.map(
    (point) =>
      `| ${point.concurrency} | ${round(point.ttftMs)} (${point.ttftRangeMs.map(round).join("-")}) | ${point.tpotMs.toFixed(1)} (${point.tpotRangeMs.map((ms) => ms.toFixed(1)).join("-")}) | ${round(point.tokensPerSecond)} | ${round(point.tokensPerSecond / recipe.gpus)} | ${point.ttftMs <= recipe.slo.ttftMs && point.tpotMs <= recipe.slo.tpotMs ? "yes" : "no"} |`,
  );
  const engine = engineNames[recipe.engine];
  return `<!-- Made by tools/make-recipes.mjs from recipe.yaml; change that file. -->

# ${recipe.title}

${recipe.about}

| pool | workers | GPUs of each | split | hosts of each |
| --- | --- | --- | --- | --- |
${pools.map((pool) => `| ${pool.name} | ${pool.count} | ${pool.gpus} | ${pool.label} | ${pool.nodes === 1 && isOne ? "shared" : pool.nodes} |`).join("\n")}

${recipe.gpus} GPUs on ${hosts === 1 ? "one host" : `${hosts} hosts`} of ${gpusPerNode}.

## What you need

- The GPUs above, with a driver that the engine's image supports, and disk for the weights of \`${recipe.model}\`.
- ${engine} (${recipe.engine === "trtllm" ? "`trtllm-serve`" : recipe.engine === "vllm" ? "`vllm`" : "`python -m sglang.launch_server`"}) and Node 20.19 or newer with \`npm install --global stator\`; on Kubernetes the images bring both.
${recipe.needs.map((need) => `- ${need}\n`).join("")}
## Start it on ${isOne ? "a host" : "hosts"}

${
  isOne
    ? `\`\`\`sh
./bare-metal.sh          # engines, workers and the frontend; Ctrl-C drains and stops
\`\`\``
    : `All hosts need this folder and a Redis that they reach; part by part:

\`\`\`sh
export DISCOVERY=redis://host0:6379
./bare-metal.sh frontend
${pools
  .map((pool) =>
    pool.nodes === 1
      ? `./bare-metal.sh ${pool.name} 0${pool.count > 1 ? `               # to ${pool.count - 1}, a host each` : ""}`
      : isMpi
        ? `HOSTS=hostA:${gpusPerNode},hostB:${gpusPerNode},… ./bare-metal.sh ${pool.name} 0   # on hostA, the first of ${pool.nodes}`
        : `./bare-metal.sh ${pool.name} 0 NODE LEADER   # on each of ${pool.nodes} hosts: NODE 0 to ${pool.nodes - 1}, LEADER the address of node 0`,
  )
  .join("\n")}
\`\`\``
}

With Slurm: \`sbatch slurm.sbatch\` (${hosts === 1 ? "one node" : `${hosts} nodes`}); its output names the frontend's address.

## Start it on Kubernetes

The cluster needs the GPU operator${pools.some((pool) => pool.nodes > 1) ? ", LeaderWorkerSet" : ""} and, for \`production\`, the Prometheus operator. Kubernetes 1.33 or newer
(engines run as sidecars, so that a worker drains before its engine goes).

\`\`\`sh
kubectl create namespace ${name}
kubectl -n ${name} create secret generic hugging-face --from-literal=HF_TOKEN=…   # for gated models
${isMpi ? `ssh-keygen -t ed25519 -N '' -f id_ed25519 && kubectl -n ${name} create secret generic mpi-ssh --from-file=id_ed25519 --from-file=id_ed25519.pub\n` : ""}kubectl apply -k kubernetes/overlays/trial          # or overlays/production: ${recipe.frontends} frontends, router, monitoring
kubectl -n ${name} rollout status deployment/${name}-frontend
kubectl -n ${name} port-forward service/${name} 8000:80
\`\`\`

\`overlays/autoscaled\` has one frontend and the planner, which scales the pools within ${recipe.gpus} GPUs by a predicted profile; measure your own, and raise the limit, in its \`planner-configuration.yaml\`.

## Try it

\`\`\`sh
curl http://127.0.0.1:8000/v1/chat/completions -H 'content-type: application/json' \\
  -d '{"model":"${recipe.model}","messages":[{"role":"user","content":"Hello"}],"max_tokens":64}'
\`\`\`

\`/health\` is 200 once a worker of every role is there; \`/console\` shows the graph; \`/metrics\` is for Prometheus.

## Measure it

\`./benchmark.sh http://127.0.0.1:8000\` sends ${recipe.workload.inputTokens} input and ${recipe.workload.outputTokens} output tokens per request. Give it the address of a bare engine to compare.
Predicted by the configurator (nobody has measured this recipe; the brackets are the model's error band):

| requests in flight | TTFT ms | time per output token ms | output tokens/s | per GPU | within the SLO (${recipe.slo.ttftMs} / ${recipe.slo.tpotMs} ms) |
| --- | --- | --- | --- | --- | --- |
${rows.join("\n")}

## Change it

\`graph.ts\` is the graph to start a program of your own from; \`layout.yaml\` says the same as data. Other lengths, GPUs or limits: change \`recipe.yaml\` and run
\`npm run recipes\` at the root, or let \`stator configure\` search.
`;
}
