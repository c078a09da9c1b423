/** The `data:` lines of a server-sent event stream, out of bytes that come in pieces. */
export interface EventLines {
  push(bytes: Buffer, start: number, end: number): void;
}

/** Most that a line of a stream may hold, bytes. */
export const mostLineBytes: number = 64 * 2 ** 20;

const lf = 0x0a;
const space = 0x20;
const data = Buffer.from("data:");
const done = Buffer.from("[DONE]");

/**
 * Each `data:` line is an event, as engine servers write them. A payload is `bytes[start, end)` without the space around it,
 * valid during the call.
 *
 * @throws Error from `push` where a line is longer than `mostLineBytes`, and what `onPayload` throws
 */
export function createEventLines(
  onPayload: (bytes: Buffer, start: number, end: number) => void,
  onDone: () => void,
): EventLines {
  let held: Buffer | undefined;
  let heldBytes = 0;

  const hold = (bytes: Buffer, start: number, end: number): void => {
    const needed = heldBytes + end - start;
    if (needed > mostLineBytes) throw new Error(`a line of more than ${mostLineBytes} bytes`);
    if (held === undefined || held.length < needed) {
      const larger = Buffer.allocUnsafe(Math.max(1_024, 2 * needed));
      held?.copy(larger, 0, 0, heldBytes);
      held = larger;
    }
    bytes.copy(held, heldBytes, start, end);
    heldBytes = needed;
  };
  const onLine = (bytes: Buffer, start: number, end: number): void => {
    if (!beginsWith(data, bytes, start, end)) return;
    let from = start + data.length;
    let to = end;
    while (from < to && bytes[from]! <= space) from += 1;
    while (to > from && bytes[to - 1]! <= space) to -= 1;
    if (to - from === done.length && beginsWith(done, bytes, from, to)) onDone();
    else onPayload(bytes, from, to);
  };

  return {
    push(bytes, start, end) {
      let at = start;
      for (let i = start; i < end; i++) {
        if (bytes[i] !== lf) continue;
        if (heldBytes === 0) onLine(bytes, at, i);
        else {
          hold(bytes, at, i);
          const length = heldBytes;
          heldBytes = 0;
          onLine(held!, 0, length);
        }
        at = i + 1;
      }
      if (at < end) hold(bytes, at, end);
    },
  };
}

function beginsWith(word: Buffer, bytes: Buffer, start: number, end: number): boolean {
  if (end - start < word.length) return false;
  for (let i = 0; i < word.length; i++) if (bytes[start + i] !== word[i]) return false;
  return true;
}
