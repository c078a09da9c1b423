import type { Layout } from "@stator/core";
import type { BackendName } from "@stator/simulator/performance-model";
import type { GeneratedFile } from "../generate.ts";
import type { RecipePool } from "./pools.ts";
import { fitsOneHost, hostsOf } from "./pools.ts";

export interface LaunchOptions {
  readonly layout: Layout;
  readonly model: string;
  readonly backend: BackendName;
  readonly pools: readonly RecipePool[];
  readonly gpusPerNode: number;
}

/** Start scripts for hosts: by hand and by Slurm. */
export function launchScripts(options: LaunchOptions): GeneratedFile[] {
  const isOne = fitsOneHost(options.pools, options.gpusPerNode);
  return [
    { name: "worker.sh", text: workerScript(options) },
    { name: "bare-metal.sh", text: isOne ? oneHost(options) : manyHosts(options) },
    { name: "slurm.sbatch", text: isOne ? slurmOneHost(options) : slurmManyHosts(options) },
  ];
}

/** The worker process beside an engine: waits for it, then serves it to the namespace. */
function workerScript({ layout, model, backend, pools }: LaunchOptions): string {
  const engine = layout.models[model]?.pools[pools[0]?.name ?? ""]?.engine as {
    connector?: string;
    kvEvents?: string;
  };
  return `#!/bin/sh
# worker.sh POOL INDEX [PORT]: waits for the engine on that port of this host, then serves it to the namespace.
set -eu
pool=$1 index=$2 port=\${3:-8001}
discovery=\${DISCOVERY:-file}${engine.kvEvents === undefined ? "" : "\nevents=${KV_EVENTS_PORT:-5557}"}
case $pool in
${pools.map((pool) => `  ${pool.name}) role=${pool.role} ;;`).join("\n")}
  *) echo "unknown pool $pool" >&2; exit 64 ;;
esac
host=127.0.0.1 advertise=127.0.0.1
if [ "$discovery" != file ]; then
  host=0.0.0.0
  advertise=\${ADVERTISE:-$(hostname -I | cut -d' ' -f1)}
fi
until curl -fsS -o /dev/null "http://127.0.0.1:$port/health"; do sleep 2; done
exec stator worker --model ${model} --role "$role" \\
  --engine ${backend} --url "http://127.0.0.1:$port" \\
${engine.kvEvents === undefined ? "" : '  --kv-events "tcp://127.0.0.1:$events?replay=$((events + 1000))" \\\n'}${engine.connector === undefined ? "" : `  --connector ${engine.connector} \\\n`}  --id "$pool-$index" --namespace ${layout.namespace} --discovery "$discovery" \\
  --host "$host" --advertise "$advertise" --metrics-port "$((port + 1000))"
`;
}

/** Every engine, worker and the frontend on one host, each on its GPUs and ports. */
function oneHost({ layout, pools }: LaunchOptions): string {
  let gpu = 0;
  let at = 0;
  const starts = pools.flatMap((pool) =>
    Array.from({ length: pool.count }, (_, index) => {
      const devices = Array.from({ length: pool.gpus }, (_, i) => gpu + i).join(",");
      gpu += pool.gpus;
      return `start ${pool.name} ${index} ${pool.script} ${devices} ${at++}`;
    }),
  );
  return `#!/bin/sh
# All of it on this host. Ctrl-C drains: frontend and workers first, then their engines.
set -eu
cd "$(dirname "$0")"
engines='' speakers=''
stop() {
  trap - EXIT INT TERM
  # shellcheck disable=SC2086
  for pids in "$speakers" "$engines"; do
    [ -z "$pids" ] || kill -TERM $pids 2>/dev/null || true
    [ -z "$pids" ] || wait $pids || true
  done
}
trap stop EXIT INT TERM
start() { # pool, index, script, GPUs, which of all
  export CUDA_VISIBLE_DEVICES="$4" KV_EVENTS_PORT="$((5557 + $5))" VLLM_NIXL_SIDE_CHANNEL_PORT="$((5600 + 20 * $5))"
  port=$((\${FIRST_PORT:-8001} + $5))
  sh "./$3" "$port" & engines="$engines $!"
  sh ./worker.sh "$1" "$2" "$port" & speakers="$speakers $!"
}
${starts.join("\n")}
stator frontend layout.yaml --host "\${HOST:-127.0.0.1}" --port "\${PORT:-${layout.frontend.port}}" & speakers="$speakers $!"
wait
`;
}

/** One worker's share of this host; the hosts find each other through Redis. */
function manyHosts({ layout, backend, pools, gpusPerNode }: LaunchOptions): string {
  const isMpi = backend === "trtllm" && pools.some((pool) => pool.nodes > 1);
  const examples = pools.flatMap((pool) =>
    pool.nodes === 1
      ? [`#   ./bare-metal.sh ${pool.name} 0`]
      : isMpi
        ? [
            `#   HOSTS=host1:${gpusPerNode},host2:${gpusPerNode},… ./bare-metal.sh ${pool.name} 0   # on the first of its ${pool.nodes} hosts`,
          ]
        : [
            `#   ./bare-metal.sh ${pool.name} 0 NODE LEADER   # on each of its ${pool.nodes} hosts, NODE from 0; LEADER is host 0`,
          ],
  );
  return `#!/bin/sh
# One part on this host. DISCOVERY names a Redis that all hosts reach, such as redis://host0:6379.
#   ./bare-metal.sh frontend
${examples.join("\n")}
set -eu
cd "$(dirname "$0")"
: "\${DISCOVERY:?set it to redis://HOST:6379}"
export DISCOVERY
pool=$1 index=\${2:-0} node=\${3:-0}${isMpi ? "" : " leader=${4:-127.0.0.1}"}
if [ "$pool" = frontend ]; then
  exec stator frontend layout.yaml --host "\${HOST:-127.0.0.1}" --port "\${PORT:-${layout.frontend.port}}" --discovery "$DISCOVERY"
fi
case $pool in
${pools.map((pool) => `  ${pool.name}) script=${pool.script}${isMpi ? ` ranks=${pool.gpus}` : ""} ;;`).join("\n")}
  *) echo "unknown pool $pool" >&2; exit 64 ;;
esac
${
  isMpi
    ? 'mpirun -np "$ranks" --host "${HOSTS:?set it to host1:GPUS,host2:GPUS,…}" sh "$PWD/$script" 8001 & engine=$!'
    : 'sh "./$script" 8001 "$node" "$leader" & engine=$!'
}
if [ "$node" != 0 ]; then
  trap 'kill -TERM $engine' INT TERM
  wait "$engine"
  exit
fi
sh ./worker.sh "$pool" "$index" 8001 & worker=$!
# The worker drains before its engine goes.
trap 'kill -TERM $worker; wait $worker || true; kill -TERM $engine' INT TERM
wait "$worker" || true
kill -TERM "$engine" 2>/dev/null || true
wait "$engine" || true
`;
}

function header(name: string, hosts: number, gpusPerNode: number): string {
  return `#!/bin/bash
#SBATCH --job-name=${name}
#SBATCH --nodes=${hosts}
#SBATCH --gpus-per-node=${gpusPerNode}
#SBATCH --exclusive
#SBATCH --time=08:00:00
`;
}

function slurmOneHost({ layout, gpusPerNode }: LaunchOptions): string {
  return `${header(layout.namespace, 1, gpusPerNode)}# sbatch slurm.sbatch, from this folder; stator and the engine must be on PATH.
set -eu
cd "$SLURM_SUBMIT_DIR"
echo "frontend on http://$(hostname):\${PORT:-${layout.frontend.port}}"
export HOST=0.0.0.0
exec srun --ntasks=1 sh ./bare-metal.sh
`;
}

function slurmManyHosts({ layout, backend, pools, gpusPerNode }: LaunchOptions): string {
  const hosts = hostsOf(pools, gpusPerNode);
  let at = 0;
  const starts = pools.flatMap((pool) =>
    Array.from({ length: pool.count }, (_, index) => {
      const line = `start ${pool.name} ${index} ${pool.script} ${at} ${pool.nodes} ${pool.gpus}`;
      at += pool.nodes;
      return line;
    }),
  );
  const engine =
    backend === "trtllm"
      ? `srun --overlap --mpi=pmix --nodes="$5" --ntasks="$(( $5 > 1 ? $6 : 1 ))" --nodelist="$list" sh "./$3" 8001 &`
      : `LEADER=\${hosts[$4]} srun --overlap --nodes="$5" --ntasks-per-node=1 --nodelist="$list" sh "./$3" 8001 &`;
  return `${header(layout.namespace, hosts, gpusPerNode)}# sbatch slurm.sbatch, from this folder; stator, redis-server and the engine must be on PATH of every host.
set -eu
cd "$SLURM_SUBMIT_DIR"
mapfile -t hosts < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=\${hosts[0]}
export DISCOVERY=redis://$head:6379
srun --overlap --nodes=1 --ntasks=1 --nodelist="$head" redis-server --save '' --protected-mode no &
start() { # pool, index, script, first host, hosts, GPUs
  local list
  list=$(IFS=,; echo "\${hosts[*]:$4:$5}")
  ${engine}
  srun --overlap --nodes=1 --ntasks=1 --nodelist="\${hosts[$4]}" sh ./worker.sh "$1" "$2" 8001 &
}
${starts.join("\n")}
echo "frontend on http://$head:\${PORT:-${layout.frontend.port}}"
srun --overlap --nodes=1 --ntasks=1 --nodelist="$head" \\
  stator frontend layout.yaml --host 0.0.0.0 --port "\${PORT:-${layout.frontend.port}}" --discovery "$DISCOVERY" &
# Any part that ends for good ends the job.
wait -n
`;
}
