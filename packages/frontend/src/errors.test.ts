import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { FrontendError } from "./errors.ts";

const reference = new URL("../../../docs/reference/errors/frontend.md", import.meta.url);

test.skipIf(!existsSync(reference))(
  "every code has its paragraph in the reference, and nothing else has",
  () => {
    const source = readFileSync(new URL("./errors.ts", import.meta.url), "utf8");
    const codes = [...source.matchAll(/\| "(FRONTEND_\w+)"/g)].map((match) => match[1]);
    const headings = [...readFileSync(reference, "utf8").matchAll(/^## (\w+)$/gm)].map((match) => match[1]);
    expect(headings.toSorted()).toEqual(codes.toSorted());
  },
);

test("an error is recognised as the frontend's across copies of the package", () => {
  const error = new FrontendError({ code: "FRONTEND_DEADLINE", kind: "deadline", message: "late" });
  expect(FrontendError.isInstance(error)).toBe(true);
  expect(FrontendError.isInstance(new Error("FRONTEND_DEADLINE"))).toBe(false);
});
