import type { WorkerGroup } from "../search/candidate.ts";

/**
 * A start script of one worker; the port is its first argument. On several nodes it runs on each, with the node's number
 * and the first node's address, which LeaderWorkerSet and Slurm also tell by their environment.
 */
export function shellScript(
  command: readonly string[],
  environment: Readonly<Record<string, string>>,
  group: WorkerGroup,
  nodes = 1,
): string {
  const words = command.map(shellWord);
  const lines: string[] = [];
  let line = "";
  for (const word of words) {
    if (line !== "" && (word.startsWith("--") || word.startsWith("'--") || word === "$headless")) {
      lines.push(line);
      line = `  ${word}`;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  lines.push(line);
  const has = (marker: string): boolean => command.some((word) => word.includes(marker));
  const isMpi = command[0] === "trtllm-llmapi-launch";
  return [
    "#!/bin/sh",
    `# ${group.count} of these, ${group.gpus} GPU${group.gpus > 1 ? "s" : ""} each (${group.label})${nodes > 1 ? `, over ${nodes} nodes: run it on every one${isMpi ? ", one MPI rank per GPU" : ""}` : ""}`,
    "set -eu",
    "port=${1:-8001}",
    ...(has("tcp://*:5557") ? ["events=${KV_EVENTS_PORT:-5557}", "replay=$((events + 1000))"] : []),
    ...(has("{node}") || has("{first}")
      ? [
          "node=${2:-${LWS_WORKER_INDEX:-${SLURM_NODEID:-0}}}",
          "leader=${3:-${LWS_LEADER_ADDRESS:-${LEADER:-127.0.0.1}}}",
        ]
      : []),
    ...(has("{first}") ? [`first=$((node * ${group.parallelism.data / nodes}))`] : []),
    ...(has("{headless}") ? ["headless=", '[ "$node" = 0 ] || headless=--headless'] : []),
    ...(has(".yaml") ? ['cd "$(dirname "$0")"'] : []),
    ...("VLLM_NIXL_SIDE_CHANNEL_PORT" in environment
      ? [
          "# Where other hosts fetch this worker's KV.",
          `export VLLM_NIXL_SIDE_CHANNEL_HOST="\${VLLM_NIXL_SIDE_CHANNEL_HOST:-$(hostname -I | cut -d' ' -f1)}"`,
        ]
      : []),
    ...Object.entries(environment).map(
      ([name, value]) => `export ${name}="\${${name}:-${value.replace(/["$`\\]/g, "\\$&")}}"`,
    ),
    `exec ${lines.join(" \\\n")}`,
    "",
  ].join("\n");
}

const variables: Readonly<Record<string, string>> = {
  "{port}": '"$port"',
  "{leader}": '"$leader"',
  "{node}": '"$node"',
  "{first}": '"$first"',
  "{headless}": "$headless",
};

// The ports of the engine's event feed: workers that share a host need their own.
const feedPorts: Readonly<Record<string, string>> = { "5557": "$events", "6557": "$replay" };

function shellWord(word: string): string {
  if (word.includes("tcp://*:5557"))
    return `'${word.replace(/(?<=tcp:\/\/\*:)[56]557/g, (port) => `'"${feedPorts[port]}"'`)}'`;
  return word
    .split(/(\{(?:port|leader|node|first|headless)\})/)
    .filter((part) => part !== "")
    .map((part) => variables[part] ?? quoted(part))
    .join("");
}

/** A word that the shell takes as it is. */
export function quoted(word: string): string {
  return /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
