import { readFile } from "node:fs/promises";
import { CoreError, parseLayout, type Layout } from "@stator/core";
import { parseDocument } from "yaml";

/**
 * Reads a layout from a YAML or JSON file.
 *
 * @param namespace used when the file names none.
 * @throws CoreError `CORE_LAYOUT_INVALID` that names the file and what is wrong in it.
 */
export async function readLayout(file: string, namespace?: string): Promise<Layout> {
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new CoreError({
      code: "CORE_LAYOUT_INVALID",
      kind: "invalid",
      message: `Cannot read the layout ${file}: ${String(cause)}`,
      cause,
    });
  });
  const document = parseDocument(text, { maxAliasCount: 100 } as object);
  const [problem] = document.errors;
  if (problem !== undefined) {
    throw new CoreError({
      code: "CORE_LAYOUT_INVALID",
      kind: "invalid",
      message: `${file} is not YAML: ${problem.message}`,
    });
  }
  const input: unknown = document.toJS({ maxAliasCount: 100 });
  const isObject = typeof input === "object" && input !== null;
  try {
    return parseLayout(isObject && namespace !== undefined ? { namespace, ...input } : input);
  } catch (error) {
    if (!CoreError.isInstance(error)) throw error;
    throw new CoreError({
      code: "CORE_LAYOUT_INVALID",
      kind: "invalid",
      message: `${file}: ${error.message}`,
      cause: error,
    });
  }
}
