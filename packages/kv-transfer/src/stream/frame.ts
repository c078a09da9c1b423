import { transferError } from "../transfer-error.ts";

/** Frames of the stream protocol. Header: type u8, status u8, mark u16, request u32, head bytes u32, body bytes u32, little-endian. */
export const frameType = {
  challenge: 1,
  hello: 2,
  welcome: 3,
  refused: 4,
  read: 5,
  write: 6,
  data: 7,
  end: 8,
  cancel: 9,
  notify: 10,
  ack: 11,
} as const;

const frameHeaderBytes = 16;
const mark = 0x5354;
/** Bodies are cut to this size so that other frames pass between. */
export const chunkBytes = 1_048_576;

export interface FrameHeader {
  readonly type: number;
  readonly status: number;
  readonly request: number;
  readonly bodyBytes: number;
}

export function frameHeader(
  type: number,
  status: number,
  request: number,
  headBytes: number,
  bodyBytes: number,
): Buffer {
  const header = Buffer.allocUnsafe(frameHeaderBytes);
  header.writeUInt8(type, 0);
  header.writeUInt8(status, 1);
  header.writeUInt16LE(mark, 2);
  header.writeUInt32LE(request, 4);
  header.writeUInt32LE(headBytes, 8);
  header.writeUInt32LE(bodyBytes, 12);
  return header;
}

export interface FrameHandler {
  onFrame(header: FrameHeader, head: Uint8Array): void;
  /** Parts of the last frame's body, in order, never more than announced. */
  onBody(header: FrameHeader, chunk: Uint8Array): void;
}

/** Cuts a byte stream into frames. Heads are collected (at most `headLimit` bytes), bodies are passed on as they come. */
export function createFrameParser(
  headLimit: () => number,
  handler: FrameHandler,
): { push(chunk: Uint8Array): void } {
  const headerBuffer = Buffer.alloc(frameHeaderBytes);
  let headerFilled = 0;
  let header: FrameHeader | undefined;
  let head: Uint8Array | undefined;
  let headFilled = 0;
  let bodyLeft = 0;
  const empty = new Uint8Array(0);
  return {
    push(chunk) {
      for (let at = 0; at < chunk.length;) {
        if (header !== undefined && head === undefined) {
          const take = Math.min(bodyLeft, chunk.length - at);
          handler.onBody(header, take === chunk.length ? chunk : chunk.subarray(at, at + take));
          at += take;
          bodyLeft -= take;
          if (bodyLeft === 0) header = undefined;
          continue;
        }
        if (header === undefined) {
          const take = Math.min(frameHeaderBytes - headerFilled, chunk.length - at);
          headerBuffer.set(chunk.subarray(at, at + take), headerFilled);
          headerFilled += take;
          at += take;
          if (headerFilled < frameHeaderBytes) continue;
          headerFilled = 0;
          const headBytes = headerBuffer.readUInt32LE(8);
          const bodyBytes = headerBuffer.readUInt32LE(12);
          if (headerBuffer.readUInt16LE(2) !== mark || headBytes > headLimit() || bodyBytes > chunkBytes)
            throw transferError(
              "TRANSFER_METADATA_INVALID",
              "The peer sent something that is not a frame of this protocol.",
            );
          header = {
            type: headerBuffer.readUInt8(0),
            status: headerBuffer.readUInt8(1),
            request: headerBuffer.readUInt32LE(4),
            bodyBytes,
          };
          bodyLeft = bodyBytes;
          head = headBytes === 0 ? empty : new Uint8Array(headBytes);
          headFilled = 0;
        }
        if (head !== undefined) {
          const take = Math.min(head.length - headFilled, chunk.length - at);
          if (take > 0) head.set(chunk.subarray(at, at + take), headFilled);
          headFilled += take;
          at += take;
          if (headFilled === head.length) {
            const complete = head;
            const current = header;
            head = undefined;
            if (bodyLeft === 0) header = undefined;
            handler.onFrame(current, complete);
          }
        }
      }
    },
  };
}
