import { spawn } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** Where `tools/make-llama-server.mjs` puts it. */
const made = fileURLToPath(new URL("../../../node_modules/.cache/stator/llama-server", import.meta.url));

/** A llama-server binary: of `LLAMA_SERVER`, of the PATH, or made by `node tools/make-llama-server.mjs`. */
export async function llamaServerIfPresent(): Promise<string | undefined> {
  const onPath = (process.env["PATH"] ?? "")
    .split(path.delimiter)
    .map((folder) => path.join(folder, "llama-server"));
  for (const file of [process.env["LLAMA_SERVER"] ?? "", made, ...onPath]) {
    if (file === "") continue;
    try {
      await access(file, constants.X_OK);
      return file;
    } catch {
      // Not there.
    }
  }
  const message = "no llama-server: set LLAMA_SERVER, or run node tools/make-llama-server.mjs";
  if (process.env["STATOR_REQUIRE"]?.split(",").includes("llama-server") === true) throw new Error(message);
  console.log(`skipped: ${message}`);
  return undefined;
}

export interface LlamaServer {
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts a llama-server under settings that make its text independent of the batch, and waits until it answers. */
export async function startLlamaServer(
  binary: string,
  modelPath: string,
  slotFolder: string,
): Promise<LlamaServer> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, "close");
  const exact = ["-fa", "off", "-ctk", "f32", "-ctv", "f32", "-t", "1", "-tb", "1"];
  const child = spawn(
    binary,
    [
      "-m",
      modelPath,
      "--port",
      String(port),
      "-c",
      "1024",
      "-np",
      "2",
      ...exact,
      "--metrics",
      "--slot-save-path",
      `${slotFolder}/`,
    ],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += String(chunk)));
  child.stderr.on("data", (chunk: Buffer) => (output += String(chunk)));
  const exited = once(child, "exit");
  const url = `http://127.0.0.1:${port}`;
  const deadline = performance.now() + 30_000;
  for (;;) {
    const isUp = await fetch(`${url}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isUp) break;
    if (child.exitCode !== null || performance.now() > deadline)
      throw new Error(`llama-server did not start:\n${output.slice(-2_000)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    url,
    async stop() {
      child.kill("SIGTERM");
      await exited;
    },
  };
}
