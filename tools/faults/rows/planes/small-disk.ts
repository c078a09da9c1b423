import { execFileSync } from "node:child_process";
import { mkdir, open, rm } from "node:fs/promises";

/** A folder in which nothing more fits once it is filled. */
export interface SmallDisk extends AsyncDisposable {
  readonly folder: string;
  /** A file system of its own, which says ENOSPC; without the privilege to mount one, this process may write no byte for a while. */
  readonly isReal: boolean;
  /** While `work` runs there is no room. */
  whileFull<Value>(work: () => Promise<Value>): Promise<Value>;
}

export async function createSmallDisk(folder: string): Promise<SmallDisk> {
  await mkdir(folder, { recursive: true });
  let isReal = true;
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], { stdio: "ignore" });
  } catch {
    isReal = false;
  }
  const limit = (bytes: string): void =>
    void execFileSync("prlimit", ["--pid", String(process.pid), `--fsize=${bytes}:`]);

  return {
    folder,
    isReal,
    async whileFull(work) {
      if (!isReal) {
        limit("0");
        return work().finally(() => limit("unlimited"));
      }
      const filler = `${folder}/filler`;
      const file = await open(filler, "w");
      try {
        for (const bytes of [65_536, 4_096]) {
          const piece = new Uint8Array(bytes);
          while (
            await file.write(piece).then(
              () => true,
              () => false,
            )
          );
        }
        return await work();
      } finally {
        await file.close();
        await rm(filler);
      }
    },
    async [Symbol.asyncDispose]() {
      if (isReal) execFileSync("umount", [folder], { stdio: "ignore" });
      await rm(folder, { recursive: true, force: true });
    },
  };
}
