import { randomBytes } from "node:crypto";
import { access, constants, mkdir, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import { EnginesError } from "../../errors/engines-error.ts";

const prefix = "stator-llama-";

/** Where state files live for the moment between llama.cpp and this process; they never outlive a call. */
export interface StateFolder {
  /** Lets `save` write a file, and gives its content. */
  read(save: (file: string) => Promise<unknown>): Promise<Buffer>;
  /** Lets `load` read a file of this content; its length was checked: llama.cpp aborts the process on a short one. */
  write(content: Buffer, load: (file: string) => Promise<unknown>): Promise<void>;
  /** Deletes the folder. */
  close(): Promise<void>;
}

/**
 * A private folder in memory (`/dev/shm`, else the system's temporary folder, unless `parent` says otherwise). Folders of
 * processes that died are swept.
 */
export async function createStateFolder(parent?: string): Promise<StateFolder> {
  const root = parent ?? ((await isWritable("/dev/shm")) ? "/dev/shm" : tmpdir());
  await sweep(root);
  const folder = path.join(root, `${prefix}${process.pid}-${randomBytes(6).toString("hex")}`);
  await mkdir(folder, { mode: 0o700 });
  let files = 0;
  const withFile = async <T>(use: (file: string) => Promise<T>): Promise<T> => {
    const file = path.join(folder, `${++files}.state`);
    try {
      return await use(file);
    } finally {
      await rm(file, { force: true });
    }
  };

  return {
    read: (save) =>
      withFile(async (file) => {
        await save(file);
        return readFile(file);
      }),
    write: (content, load) =>
      withFile(async (file) => {
        await writeFile(file, content, { mode: 0o600 });
        const { size } = await stat(file);
        if (size !== content.length) {
          throw new EnginesError({
            code: "ENGINES_HANDOFF_FAILED",
            kind: "unavailable",
            message: `A state file has ${size} of ${content.length} bytes: ${root} is full.`,
          });
        }
        await load(file);
      }),
    close: () => rm(folder, { recursive: true, force: true }),
  };
}

async function isWritable(folder: string): Promise<boolean> {
  return access(folder, constants.W_OK).then(
    () => true,
    () => false,
  );
}

async function sweep(root: string): Promise<void> {
  for (const name of await readdir(root).catch(() => [])) {
    const pid = name.startsWith(prefix) ? Number(name.slice(prefix.length).split("-")[0]) : NaN;
    if (Number.isInteger(pid) && !isAlive(pid))
      await rm(path.join(root, name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
