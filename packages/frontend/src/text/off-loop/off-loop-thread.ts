import { parentPort } from "node:worker_threads";
import { parseJsonBody, type JsonBodyLimits } from "../../openai/request/json-body.ts";
import type { ThreadCall, ThreadCancel, ThreadReply } from "./off-loop.ts";
import { createTextEncoding, type TextEncoding } from "../tokens/tokenizer.ts";

const encodings = new Map<string, TextEncoding>();

const queue: ThreadCall[] = [];

// One call per turn, so that a caller who gave up is heard before its call has begun.
parentPort?.on("message", (message: ThreadCall | ThreadCancel) => {
  if (message.type !== "cancel") {
    if (queue.push(message) === 1) setImmediate(next);
    return;
  }
  const at = queue.findIndex(({ call }) => call === message.call);
  if (at > 0) queue.splice(at, 1);
});

function next(): void {
  const message = queue[0];
  if (message === undefined) return;
  const transfer: ArrayBuffer[] = [];
  let reply: ThreadReply;
  try {
    reply = { call: message.call, value: answer(message, transfer) };
  } catch (error) {
    const {
      code,
      message: text,
      data,
    } = error as { code?: string; message: string; data?: { param?: string } };
    reply = {
      call: message.call,
      error: {
        message: text,
        ...(code === undefined ? {} : { code }),
        ...(data?.param === undefined ? {} : { param: data.param }),
      },
    };
  }
  parentPort?.postMessage(reply, transfer);
  queue.shift();
  if (queue.length > 0) setImmediate(next);
}

function answer(message: ThreadCall, transfer: ArrayBuffer[]): unknown {
  switch (message.type) {
    case "load":
      if (!encodings.has(message.digest)) encodings.set(message.digest, createTextEncoding(message.bytes));
      return undefined;
    case "encode": {
      const encoding = encodings.get(message.digest);
      if (encoding === undefined) throw new Error(`The tokenizer ${message.digest} did not load.`);
      const ids = encoding.encode(message.text);
      transfer.push(ids.buffer as ArrayBuffer);
      return ids;
    }
    case "parse":
      return packNumbers(parseJsonBody(message.bytes, message.limits as JsonBodyLimits), transfer);
  }
}

/** Long arrays of ids become typed arrays, whose buffers move to the other thread instead of being copied. */
function packNumbers(value: unknown, transfer: ArrayBuffer[]): unknown {
  if (Array.isArray(value)) {
    const list = value as unknown[];
    if (
      list.length >= 256 &&
      list.every(
        (n) => typeof n === "number" && n >= 0 && n <= 0xffffffff && Number.isInteger(n) && !Object.is(n, -0),
      )
    ) {
      const packed = Uint32Array.from(list as number[]);
      transfer.push(packed.buffer);
      return packed;
    }
    return list.map((item) => packNumbers(item, transfer));
  }
  if (typeof value === "object" && value !== null) {
    for (const [key, item] of Object.entries(value)) {
      if (typeof item === "object" && item !== null) {
        Object.defineProperty(value, key, {
          value: packNumbers(item, transfer),
          enumerable: true,
          configurable: true,
          writable: true,
        });
      }
    }
  }
  return value;
}
