// `npm run recipes`: writes the folders of examples/recipes from their recipe.yaml, with the configurator's generators.
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseRecipe, recipeFiles } from "@stator/configurator";

const root = fileURLToPath(new URL("../examples/recipes", import.meta.url));
for (const name of readdirSync(root)) {
  const source = path.join(root, name, "recipe.yaml");
  if (!existsSync(source)) continue;
  const files = recipeFiles(parseRecipe(readFileSync(source, "utf8")));
  for (const entry of readdirSync(path.join(root, name)))
    if (entry !== "recipe.yaml") rmSync(path.join(root, name, entry), { recursive: true });
  for (const file of files) {
    const to = path.join(root, name, file.name);
    mkdirSync(path.dirname(to), { recursive: true });
    writeFileSync(to, file.text);
    if (to.endsWith(".sh")) chmodSync(to, 0o755);
  }
  console.log(`${name}: ${files.length} files`);
}
