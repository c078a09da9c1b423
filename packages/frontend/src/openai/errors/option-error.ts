import { FrontendError } from "../../errors.ts";

/** The error for an option that is wrong at construction. */
export function invalidOption(name: string, value: unknown, expected: string): FrontendError {
  return new FrontendError({
    code: "FRONTEND_OPTION_INVALID",
    kind: "invalid",
    message: `Option ${name} is ${String(value)}; it must be ${expected}.`,
    data: { option: name },
  });
}
