/**
 * A client in a process of its own that costs as little as a client can: raw sockets, and of what comes only events and
 * bytes are counted. Its parent sends it rounds, one at a time.
 */
import { type ChildProcess, fork } from "node:child_process";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";

/** One round: `streams` requests at once, all with the same body. */
export interface Round {
  readonly port: number;
  readonly streams: number;
  /** Body of `POST /v1/completions`, a stream. */
  readonly body: string;
}

export interface Counted {
  readonly events: number;
  readonly bytes: number;
  readonly seconds: number;
  /** The ends of streams that broke off. */
  readonly failures: readonly string[];
}

export interface CountingClient {
  run(round: Round): Promise<Counted>;
  close(): void;
}

export async function createCountingClient(): Promise<CountingClient> {
  const child = fork(fileURLToPath(import.meta.url), ["counting-client"], {
    execArgv: ["--import", "tsx"],
  });
  await answerOf(child);
  return {
    async run(round) {
      child.send(round);
      return (await answerOf(child)) as Counted;
    },
    close: () => void child.kill(),
  };
}

function answerOf(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null): void =>
      reject(new Error(`The counting client ended with ${code ?? "a signal"}.`));
    child.once("exit", ended);
    child.once("message", (answer) => {
      child.off("exit", ended);
      resolve(answer);
    });
  });
}

function count({ port, streams, body }: Round): void {
  let open = streams;
  let events = 0;
  let bytes = 0;
  const failures: string[] = [];
  const startedAt = performance.now();
  const head = `POST /v1/completions HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n`;
  for (let i = 0; i < streams; i++) {
    const socket = connect(port, "127.0.0.1");
    let tail = "";
    let last = "";
    socket.write(`${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
    socket.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      const text = tail + chunk.latin1Slice();
      for (let at = text.indexOf("data: "); at >= 0; at = text.indexOf("data: ", at + 6)) events++;
      tail = text.slice(-5);
      last = text.slice(-400);
      if (last.includes("[DONE]") || last.endsWith("\r\n0\r\n\r\n")) socket.destroy();
    });
    socket.on("close", () => {
      if (!last.includes("[DONE]")) failures.push(last);
      if (--open > 0) return;
      process.send?.({ events, bytes, failures, seconds: (performance.now() - startedAt) / 1000 });
    });
  }
}

if (process.send !== undefined && process.argv[2] === "counting-client") {
  process.on("message", (round) => count(round as Round));
  process.send("ready");
}
