import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { StepFrameSchema } from "@stator/contracts";
import { expect, test } from "vitest";

test("the README's frame comes back as it went", () => {
  const ids = new Uint8Array(new Uint32Array([17, 4]).buffer);
  const handles = new Uint8Array(new Uint32Array([1, 2]).buffer);
  const firstIndexes = new Uint8Array(new Uint32Array([0, 0]).buffer);
  const frame = create(StepFrameSchema, { sequence: 1n, outputs: { handles, firstIndexes, ids } });

  const read = fromBinary(StepFrameSchema, toBinary(StepFrameSchema, frame));
  expect(read.outputs?.ids.length).toBe(8);
});
