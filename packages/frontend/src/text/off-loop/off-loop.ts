import { Worker } from "node:worker_threads";
import { FrontendError } from "../../errors.ts";
import { overloaded } from "../../openai/errors/api-errors.ts";

/** The heavy work that a thread does for the frontend's event loop. */
export interface OffLoop {
  /** Ids of `text` by the tokenizer `digest`; `bytes` (its `tokenizer.json`) is copied over once. */
  encode(digest: string, bytes: Uint8Array, text: string, signal: AbortSignal): Promise<Uint32Array>;
  /** Runs `parseJsonBody` on the bytes, which are transferred. */
  parse(bytes: Uint8Array, limits: object, signal: AbortSignal): Promise<unknown>;
  close(): Promise<void>;
}

/** What the thread is asked. */
export type ThreadCall =
  | { readonly call: number; readonly type: "load"; readonly digest: string; readonly bytes: Uint8Array }
  | { readonly call: number; readonly type: "encode"; readonly digest: string; readonly text: string }
  | { readonly call: number; readonly type: "parse"; readonly bytes: Uint8Array; readonly limits: object };

/** The call's caller gave up; it need not be begun. */
export interface ThreadCancel {
  readonly call: number;
  readonly type: "cancel";
}

/** What it answers: a value, or an error as plain data. */
export type ThreadReply =
  | { readonly call: number; readonly value: unknown }
  | {
      readonly call: number;
      readonly error: { readonly code?: string; readonly message: string; readonly param?: string };
    };

export interface OffLoopOptions {
  /**
   * UTF-16 units of texts and bytes of bodies that may wait for the thread at once; more is refused as overloaded.
   * Default 48 Mi: at 1 to 2 MB/s the last one waits half a minute.
   */
  readonly mostPending?: number;
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** Room for one 8 MiB prompt many times over, in MiB. */
const threadHeapMb = 2048;

function startThread(): Worker {
  const resourceLimits = { maxOldGenerationSizeMb: threadHeapMb };
  if (!import.meta.url.endsWith(".ts"))
    return new Worker(new URL("./off-loop-thread.js", import.meta.url), { resourceLimits });
  // In a checkout the thread's sources need tsx, which older Node versions take into a thread only this way.
  const bootstrap = `import("tsx/esm/api").then(({ register }) => { register(); return import(${JSON.stringify(new URL("./off-loop-thread.ts", import.meta.url).href)}); })`;
  return new Worker(bootstrap, { eval: true, execArgv: ["--conditions=@stator/source"], resourceLimits });
}

/**
 * One worker thread, started on first use and again after a crash. It holds no reference on the process. Its heap is
 * capped, so that a hostile text takes down the thread and its own request, not the server.
 */
export function createOffLoop(options: OffLoopOptions = {}): OffLoop {
  const mostPending = options.mostPending ?? 48 * 1024 * 1024;
  let worker: Worker | undefined;
  let loaded = new Set<string>();
  let calls = 0;
  let pending = 0;
  const waiting = new Map<number, Waiting>();

  const failAll = (message: string, cause?: unknown): void => {
    worker = undefined;
    loaded = new Set();
    const all = [...waiting.values()];
    waiting.clear();
    for (const one of all) {
      one.reject(new FrontendError({ code: "FRONTEND_TOKENIZER_FAILED", kind: "internal", message, cause }));
    }
  };

  const start = (): Worker => {
    const started = startThread();
    started.unref();
    started.on("message", (reply: ThreadReply) => {
      const one = waiting.get(reply.call);
      waiting.delete(reply.call);
      if (waiting.size === 0) started.unref();
      if (one === undefined) return;
      if (!("error" in reply)) {
        one.resolve(reply.value);
        return;
      }
      const { code, message, param } = reply.error;
      const isBody = code === "FRONTEND_BODY_INVALID" || code === "FRONTEND_JSON_TOO_DEEP";
      one.reject(
        new FrontendError({
          code: isBody ? code : "FRONTEND_TOKENIZER_FAILED",
          kind: isBody ? "invalid" : "internal",
          message,
          ...(param === undefined ? {} : { data: { param } }),
        }),
      );
    });
    started.on("error", (error) => {
      if (worker === started) failAll(`The tokenizer thread died: ${error.message}`, error);
    });
    started.on("exit", () => {
      if (worker === started) failAll("The tokenizer thread ended.");
    });
    return started;
  };

  const ask = (
    message: ThreadCall,
    signal: AbortSignal | undefined,
    transfer: ArrayBuffer[],
  ): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason as Error);
        return;
      }
      const size = message.type === "encode" ? message.text.length : message.bytes.length;
      if (pending > 0 && pending + size > mostPending) {
        reject(overloaded("Long texts wait already for as long as they may."));
        return;
      }
      const thread = (worker ??= start());
      const onAbort = (): void => {
        waiting.delete(message.call);
        pending -= size;
        thread.postMessage({ call: message.call, type: "cancel" } satisfies ThreadCancel);
        reject(signal?.reason as Error);
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      pending += size;
      const done = (): void => {
        pending -= size;
        signal?.removeEventListener("abort", onAbort);
      };
      waiting.set(message.call, {
        resolve(value) {
          done();
          resolve(value);
        },
        reject(error) {
          done();
          reject(error);
        },
      });
      thread.ref();
      thread.postMessage(message, transfer);
    });

  return {
    async encode(digest, bytes, text, signal) {
      worker ??= start();
      if (!loaded.has(digest)) {
        loaded.add(digest);
        // Messages keep their order, so the load need not be awaited before the call.
        ask({ call: calls++, type: "load", digest, bytes }, undefined, []).catch(() => loaded.delete(digest));
      }
      return (await ask({ call: calls++, type: "encode", digest, text }, signal, [])) as Uint32Array;
    },
    parse(bytes, limits, signal) {
      const own = bytes.slice();
      return ask({ call: calls++, type: "parse", bytes: own, limits }, signal, [own.buffer as ArrayBuffer]);
    },
    async close() {
      const ending = worker;
      if (ending === undefined) return;
      failAll("The tokenizer thread was closed.");
      await ending.terminate();
    },
  };
}
