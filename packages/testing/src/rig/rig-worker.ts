import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import {
  wrapEngine,
  type Engine,
  type GenerateOptions,
  type GenerateRequest,
  type TokenBatch,
} from "@stator/core";
import { notifyReady, watchSupervisor } from "@stator/runtime";

import { writeRigNote, type RigNote } from "./rig-note.ts";

/** What the rig may ask of a worker process, by name: the answer is sent back as JSON. */
export type RigCommands = Readonly<Record<string, (argument: string) => unknown>>;

/** Tells the rig something. Does nothing harmful where no rig listens: it is a line on standard output. */
export function noteToRig(note: RigNote): void {
  console.log(writeRigNote(note));
}

/** For worker processes of a rig: the engine, telling the rig when requests begin and end. */
export function notedEngine(inner: Engine): Engine {
  async function* generate(request: GenerateRequest, options: GenerateOptions): AsyncGenerator<TokenBatch> {
    let why: "done" | "aborted" | "failed" = "aborted";
    noteToRig({ type: "started", request: request.id, mode: request.mode, from: request.outputIds.length });
    try {
      for await (const batch of inner.generate(request, options)) {
        if (batch.finish !== undefined) why = "done";
        yield batch;
      }
    } catch (error) {
      why = options.signal.aborted ? "aborted" : "failed";
      throw error;
    } finally {
      noteToRig({ type: "ended", request: request.id, why });
    }
  }
  return wrapEngine(inner, { generate });
}

/**
 * For worker processes of a rig, once they serve: answers the rig's commands on a port of this machine, says that it is
 * ready, and ends with the rig. Returns how to stop.
 */
export async function answerRig(commands: RigCommands): Promise<() => void> {
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://rig.local");
    const command = commands[url.pathname.slice(1)];
    if (command === undefined) {
      response.writeHead(404).end();
      return;
    }
    Promise.resolve()
      .then(() => command(url.searchParams.get("argument") ?? ""))
      .then(
        (answer) => response.end(JSON.stringify(answer ?? {})),
        (error: unknown) => response.writeHead(500).end(String(error)),
      );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  watchSupervisor();
  notifyReady({ control: (server.address() as AddressInfo).port });
  return () => {
    server.close();
    server.closeAllConnections();
  };
}
