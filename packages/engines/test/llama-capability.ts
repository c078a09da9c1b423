import { loadLibrary, shareLlama, type LlamaShare } from "../src/llama/model/load-library.ts";

/** llama.cpp for tests, or undefined with one line that says why; STATOR_REQUIRE=native makes its lack an error. */
export async function llamaIfPresent(): Promise<LlamaShare["llama"] | undefined> {
  try {
    return (await shareLlama(await loadLibrary(), 1)).llama;
  } catch (error) {
    if (process.env["STATOR_REQUIRE"]?.split(",").includes("native") === true) throw error;
    console.log(`skipped: ${(error as Error).message}`);
    return undefined;
  }
}
