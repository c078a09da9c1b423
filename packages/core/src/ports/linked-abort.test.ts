import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { linkAbort } from "./linked-abort.ts";

test("aborts with its parent and its reason, or alone, and leaves no listener behind", () => {
  const parent = new AbortController();
  const [first, second] = [linkAbort(parent.signal), linkAbort(parent.signal)];
  const reason = new Error("mine");
  first.abort(reason);
  expect([first.signal.reason, parent.signal.aborted]).toEqual([reason, false]);
  first.unlink();
  expect(getEventListeners(parent.signal, "abort")).toHaveLength(1);
  const gone = new Error("gone");
  parent.abort(gone);
  expect([second.signal.reason, linkAbort(parent.signal).signal.reason]).toEqual([gone, gone]);
  expect(getEventListeners(parent.signal, "abort")).toHaveLength(0);
  expect(linkAbort(undefined).signal.aborted).toBe(false);
});
