import { loadLibrary, openLlama } from "../src/llama/load-library.ts";

/** llama.cpp for tests, or undefined with one line that says why; STATOR_REQUIRE=native makes its lack an error. */
export async function llamaIfPresent(): Promise<Awaited<ReturnType<typeof openLlama>> | undefined> {
  try {
    return await openLlama(await loadLibrary(), 1);
  } catch (error) {
    if (process.env["STATOR_REQUIRE"]?.split(",").includes("native") === true) throw error;
    console.log(`skipped: ${(error as Error).message}`);
    return undefined;
  }
}
