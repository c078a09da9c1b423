import { stringify } from "yaml";
import { parseLayout } from "@stator/core";
import type { GeneratedFile } from "../generate.ts";
import { graphText } from "../graph.ts";
import { assemble } from "../kubernetes/manifests.ts";
import { localWorkers } from "../kubernetes/workers.ts";
import { namespaceOf } from "../layout.ts";
import { kustomizeFiles } from "./kustomize.ts";
import type { LocalRecipe } from "./schema.ts";

/** The folder of a recipe whose workers are their own engines: it runs wherever Node does. */
export function localRecipeFiles(recipe: LocalRecipe): GeneratedFile[] {
  const { model, workload } = recipe;
  const isSplit = recipe.workers.length > 1;
  const layout = parseLayout({
    namespace: namespaceOf(model),
    models: {
      [model]: {
        pools: Object.fromEntries(
          recipe.workers.map(({ role, count }) => [
            role === "both" ? "workers" : role,
            { role, replicas: count, engine: { kind: "llama" } },
          ]),
        ),
        ...(isSplit ? { disaggregateAboveTokens: recipe.disaggregateAboveTokens } : {}),
      },
    },
  });
  const manifests = assemble(layout, localWorkers(layout));
  return [
    { name: "layout.yaml", text: stringify(layout) },
    {
      name: "graph.ts",
      text: graphText(model, isSplit, recipe.title, recipe.disaggregateAboveTokens),
    },
    { name: "bare-metal.sh", text: bareMetal },
    { name: "slurm.sbatch", text: slurm(layout.namespace) },
    {
      name: "benchmark.sh",
      text: `#!/bin/sh
# Rising load on any OpenAI server; compare with another machine or a bare engine by its address.
set -eu
url=\${1:-http://127.0.0.1:8000}
for concurrency in 1 4 16; do
  stator load --url "$url" --model ${model} --input ${workload.inputTokens} --output ${workload.outputTokens} \\
    --concurrency "$concurrency" --requests "$((concurrency * 10))" --json > "benchmark-$concurrency.json"
done
`,
    },
    ...kustomizeFiles(layout, manifests, recipe.frontends, []),
    { name: "README.md", text: readme(recipe, layout.namespace) },
  ];
}

const bareMetal = `#!/bin/sh
# All of it on this machine; arguments go to stator up, such as --port 0 or --model FILE.gguf.
set -eu
cd "$(dirname "$0")"
exec stator up layout.yaml "$@"
`;

function slurm(name: string): string {
  return `#!/bin/bash
#SBATCH --job-name=${name}
#SBATCH --nodes=1
#SBATCH --cpus-per-task=8
#SBATCH --time=01:00:00
# sbatch slurm.sbatch, from this folder; stator must be on PATH.
set -eu
cd "$SLURM_SUBMIT_DIR"
exec srun --ntasks=1 stator up layout.yaml --host 0.0.0.0
`;
}

function readme(recipe: LocalRecipe, name: string): string {
  return `<!-- Made by tools/make-recipes.mjs from recipe.yaml; change that file. -->

# ${recipe.title}

${recipe.about}

## What you need

Node 20.19 or newer, and:

\`\`\`sh
npm install --global stator node-llama-cpp
\`\`\`

## Start it

\`\`\`sh
./bare-metal.sh                            # Ctrl-C drains and stops
./bare-metal.sh --model ~/qwen3-4b.gguf    # a model of your own, in any form that llama.cpp reads
\`\`\`

On Slurm without GPUs: \`sbatch slurm.sbatch\`. On Kubernetes, in kind or minikube too: build \`images/frontend\` and \`images/worker\`, then

\`\`\`sh
kubectl create namespace ${name}
kubectl apply -k kubernetes/overlays/trial
kubectl -n ${name} port-forward service/${name} 8000:80
\`\`\`

## Try it

\`\`\`sh
curl http://127.0.0.1:8000/v1/chat/completions -H 'content-type: application/json' \\
  -d '{"model":"${recipe.model}","messages":[{"role":"user","content":"Hello"}],"max_tokens":32}'
\`\`\`

\`/console\` shows the graph. Kill a worker in the middle of an answer: it goes on in another one.

## Measure it

\`./benchmark.sh\` sends ${recipe.workload.inputTokens} input and ${recipe.workload.outputTokens} output tokens per request, at 1, 4 and 16 requests at once. Expect the first tokens of the bundled
model within tens of milliseconds at one request, and tokens per second to rise with the load until the cores are busy.

## Change it

\`layout.yaml\` has the numbers of workers; \`graph.ts\` is the same as a program. \`recipe.yaml\` and \`npm run recipes\` at the root make both anew.
`;
}
