/** One case of a compliance suite, bound to no test runner: `for (const { name, run } of suite) test(name, run)`. */
export interface ComplianceCase {
  readonly name: string;
  run(): Promise<void>;
}

/** Fails a case. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}
