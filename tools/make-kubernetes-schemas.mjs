// Writes examples/recipes/schemas/kubernetes.json: strict JSON schemas of the kinds that recipes use, from the models of
// @kubernetes/client-node, which are generated from the Kubernetes OpenAPI. Argument: that package, unpacked.
//   npm pack @kubernetes/client-node@1.4.0 && tar xzf kubernetes-client-node-*.tgz && node tools/make-kubernetes-schemas.mjs package
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

const folder = process.argv[2] ?? "package";
const kinds = [
  "V1ConfigMap",
  "V1Deployment",
  "V1PersistentVolumeClaim",
  "V1PodDisruptionBudget",
  "V1Role",
  "V1RoleBinding",
  "V1Service",
  "V1ServiceAccount",
];
const definitions = {};
let version = "";

function typeOf(type) {
  const array = /^Array<(.+)>$/.exec(type);
  if (array) return { type: "array", items: typeOf(array[1]) };
  const map = /^\{ \[key: string\]: (.+?);? \}$/.exec(type);
  if (map) return { type: "object", additionalProperties: typeOf(map[1]) };
  if (type === "string" || type === "Date") return { type: "string" };
  if (type === "number" || type === "boolean") return { type };
  if (type === "IntOrString" || type === "number | string") return { type: ["integer", "string"] };
  if (!/^V\d/.test(type)) return {};
  define(type);
  return { $ref: `#/$defs/${type}` };
}

function define(name) {
  if (name in definitions) return;
  const text = readFileSync(path.join(folder, "dist/gen/models", `${name}.d.ts`), "utf8");
  version = /OpenAPI spec version: v?([\d.]+)/.exec(text)?.[1] ?? version;
  const properties = {};
  const required = [];
  definitions[name] = { type: "object", properties, required, additionalProperties: false };
  const javascript = readFileSync(path.join(folder, "dist/gen/models", `${name}.js`), "utf8");
  const baseNames = Object.fromEntries(
    [...javascript.matchAll(/"name": "(\w+)",\s*"baseName": "([^"]+)"/g)].map((match) => [
      match[1],
      match[2],
    ]),
  );
  for (const [, property, optional, type] of text.matchAll(/^ {4}'(\w+)'(\??): ((?:\{[^}]*\}|[^;])+);/gm)) {
    const base = baseNames[property] ?? property;
    properties[base] = typeOf(type.replaceAll(/\s+/g, " "));
    if (optional === "") required.push(base);
  }
}

for (const kind of kinds) define(kind);
const roots = Object.fromEntries(kinds.map((kind) => [kind.slice(2), { $ref: `#/$defs/${kind}` }]));
const to = new URL("../examples/recipes/schemas/kubernetes.json", import.meta.url);
writeFileSync(
  to,
  `${JSON.stringify({ $comment: `Kubernetes ${version}, made by tools/make-kubernetes-schemas.mjs`, kinds: roots, $defs: definitions })}\n`,
);
console.log(`${Object.keys(definitions).length} definitions of Kubernetes ${version}`);
