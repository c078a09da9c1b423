import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { TransferService } from "@stator/contracts";
import type { SharedTierOptions } from "@stator/kv-transfer";
import { createRuntime, fileDiscovery, type Discovery } from "@stator/runtime";

export type TransferClient = SharedTierOptions["client"];

/** Agents of other processes, by name. */
export interface ControlledAgents extends AsyncDisposable {
  /** Transports that could not be opened in their processes, and why. */
  readonly problems: ReadonlyMap<string, string>;
  /** Where they are known. */
  readonly discovery: Discovery;
  client(name: string): TransferClient;
}

const startDeadlineMs = 60_000;

/** Starts a process with an agent of these transports for each name; they end with the result. */
export async function startAgents(
  names: readonly string[],
  transports: readonly string[],
): Promise<ControlledAgents> {
  const dir = await mkdtemp(path.join(tmpdir(), "stator-transfer-"));
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const children: ChildProcess[] = [];
  const problems = new Map<string, string>();
  const discovery = fileDiscovery({ dir });
  const runtime = await createRuntime({ discovery });
  const close = async (): Promise<void> => {
    for (const child of children) child.kill("SIGKILL");
    await runtime.close();
    await rm(dir, { recursive: true, force: true });
  };
  try {
    for (const name of names)
      children.push(
        fork(
          fileURLToPath(new URL(`./peer.${extension}`, import.meta.url)),
          [name, transports.join(","), dir],
          {
            execArgv: extension === "ts" ? ["--import", "tsx", "--conditions=@stator/source"] : [],
            stdio: ["ignore", "ignore", "inherit", "ipc"],
          },
        ),
      );
    await Promise.all(
      children.map(async (child, i) => {
        const signal = AbortSignal.timeout(startDeadlineMs);
        const ended = once(child, "exit", { signal }).then(([code]) => {
          throw new Error(`the process of agent ${names[i]} ended with ${code}`);
        });
        ended.catch(() => undefined);
        const [message] = (await Promise.race([once(child, "message", { signal }), ended])) as [
          { problems: Record<string, string> },
        ];
        for (const [transport, problem] of Object.entries(message.problems)) problems.set(transport, problem);
      }),
    );
  } catch (error) {
    await close();
    throw error;
  }
  return {
    problems,
    discovery,
    client: (name) => runtime.client(TransferService, { name }),
    [Symbol.asyncDispose]: close,
  };
}
