import type { WorkerGroup } from "../search/candidate.ts";

/** A start script of one worker; the port is its first argument. */
export function shellScript(
  command: readonly string[],
  environment: Readonly<Record<string, string>>,
  group: WorkerGroup,
): string {
  const words = command.map((word) => (word === "{port}" ? '"$port"' : quoted(word)));
  const lines: string[] = [];
  let line = "";
  for (const word of words) {
    if (line !== "" && (word.startsWith("--") || word.startsWith("'--"))) {
      lines.push(line);
      line = `  ${word}`;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  lines.push(line);
  return [
    "#!/bin/sh",
    `# ${group.count} of these, ${group.gpus} GPU${group.gpus > 1 ? "s" : ""} each (${group.label})`,
    "set -eu",
    "port=${1:-8001}",
    ...Object.entries(environment).map(([name, value]) => `export ${name}=${quoted(value)}`),
    `exec ${lines.join(" \\\n")}`,
    "",
  ].join("\n");
}

function quoted(word: string): string {
  return /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
