import { readdirSync, readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { processStart } from "../shm/shared-file.ts";

const bootId = (): string => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();

/** Leaves a file by which peers see that they share the directory, and later agents of this host that its owner ended. Returns its name. */
export function writeMarker(directory: string, prefix: string): string {
  const name = `${prefix}.agent`;
  writeFileSync(join(directory, name), `${bootId()} ${process.pid} ${processStart(process.pid) ?? "0"}`, {
    flag: "wx",
    mode: 0o600,
  });
  return name;
}

/** Removes the files of agents of this host that ended without closing. Those of other hosts are theirs to judge. */
export function removeLeftOvers(directory: string): void {
  const names = readdirSync(directory);
  const boot = bootId();
  for (const marker of names.filter((name) => name.endsWith(".agent"))) {
    try {
      const [host, pid, start] = readFileSync(join(directory, marker), "utf8").split(" ");
      if (host !== boot || processStart(Number(pid)) === start) continue;
      const prefix = marker.slice(0, -".agent".length);
      for (const name of names) if (name.startsWith(`${prefix}-`)) unlinkSync(join(directory, name));
      unlinkSync(join(directory, marker));
    } catch {
      // Another agent cleaned up at the same moment.
    }
  }
}
