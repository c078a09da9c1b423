import type { Start } from "@stator/contracts";
import { RuntimeError } from "../../runtime-error.ts";
import { longestRequestBytes } from "../limits.ts";

/** Encoded requests on their way in, in pieces. */
export interface IncomingStarts {
  /**
   * Takes a piece. Returns the whole request with its last piece.
   *
   * @param refusal asked once, with the first piece: why no request is taken now.
   * @throws RuntimeError the refusal, or `RUNTIME_REQUEST_TOO_LARGE`; further pieces of it start it anew.
   */
  add(part: Start, refusal: () => RuntimeError | undefined): Uint8Array | undefined;
  /** Forgets one that was given up. */
  remove(handle: number): void;
}

export function createIncomingStarts(): IncomingStarts {
  const parts = new Map<number, { readonly bytes: Uint8Array; filled: number }>();
  return {
    add({ handle, totalBytes, part }, refusal) {
      let whole = parts.get(handle);
      if (whole === undefined) {
        const refused = totalBytes > longestRequestBytes ? tooLarge(totalBytes) : refusal();
        if (refused !== undefined) throw refused;
        if (part.length >= totalBytes) return part;
        parts.set(handle, (whole = { bytes: new Uint8Array(totalBytes), filled: 0 }));
      }
      const take = Math.min(part.length, whole.bytes.length - whole.filled);
      whole.bytes.set(part.subarray(0, take), whole.filled);
      whole.filled += take;
      if (whole.filled < whole.bytes.length) return undefined;
      parts.delete(handle);
      return whole.bytes;
    },
    remove: (handle) => void parts.delete(handle),
  };
}

function tooLarge(bytes: number): RuntimeError {
  return new RuntimeError({
    code: "RUNTIME_REQUEST_TOO_LARGE",
    kind: "invalid",
    message: `The request has ${bytes} bytes; ${longestRequestBytes} are allowed.`,
  });
}
