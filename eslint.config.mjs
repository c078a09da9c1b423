import js from "@eslint/js";
import nx from "@nx/eslint-plugin";
import ts from "typescript-eslint";

// Who may import whom: architecture, section 2. A new arrow is a design decision (an ADR).
const rooms = {
  core: [],
  contracts: [],
  "cuda-bindings": [],
  metrics: ["core"],
  runtime: ["core", "contracts"],
  router: ["core", "contracts"],
  "kv-transfer": ["core", "contracts"],
  planner: ["core", "contracts"],
  frontend: ["core"],
  console: ["core"],
  engines: ["core", "kv-transfer"],
  simulator: ["core", "router", "planner", "engines"],
  configurator: ["core", "simulator"],
  testing: ["core", "runtime", "router", "engines"],
  cli: "*",
  examples: "*",
};
const depConstraints = Object.entries(rooms).map(([room, may]) => ({
  sourceTag: `room:${room}`,
  onlyDependOnLibsWithTags: may === "*" ? ["*"] : [room, ...may].map((name) => `room:${name}`),
}));

export default ts.config(
  {
    ignores: [
      "**/dist/**",
      "**/node_modules/**",
      "**/gen/**",
      "**/build/**",
      "packages/*/web/**",
      "examples/*/gen/**",
      "packages/*/app/**",
      "**/*.wasm.ts",
      "tools/buf/**",
      ".nx/**",
    ],
  },
  js.configs.recommended,
  ...ts.configs.recommended,
  {
    files: ["packages/*/src/**/*.ts"],
    ignores: ["**/*.test.ts"],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/no-misused-promises": ["error", { checksVoidReturn: false }],
    },
  },
  {
    plugins: { "@nx": nx },
    rules: {
      "@typescript-eslint/no-non-null-assertion": "off",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "require-yield": "off",
    },
  },
  {
    files: ["packages/*/src/**/*.ts", "examples/**/*.ts"],
    ignores: ["**/*.test.ts"],
    rules: {
      "@nx/enforce-module-boundaries": [
        "error",
        // Optional peers hide behind subpaths that are imported when used; the same package's main door is imported as usual.
        { allow: [], depConstraints, checkDynamicDependenciesExceptions: [".*"] },
      ],
    },
  },
  {
    files: ["**/*.mjs"],
    languageOptions: {
      globals: {
        process: "readonly",
        console: "readonly",
        URL: "readonly",
        Buffer: "readonly",
        performance: "readonly",
        setTimeout: "readonly",
        clearTimeout: "readonly",
        fetch: "readonly",
        TextDecoder: "readonly",
        TextEncoder: "readonly",
        AbortController: "readonly",
      },
    },
  },
);
