#!/usr/bin/env node
import { createProgram } from "./program.ts";
import { reportFailure } from "./failure.ts";

await createProgram()
  .parseAsync(process.argv)
  .catch((error: unknown) => {
    process.exitCode = reportFailure(error);
  });
