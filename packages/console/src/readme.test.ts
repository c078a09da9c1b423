import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { build } from "vite";
import { expect, test } from "vitest";
import { createConsole } from "@stator/console";

test("the README's page answers in any node:http server", async () => {
  await build({ configFile: new URL("../web/vite.config.ts", import.meta.url).pathname, logLevel: "error" });
  const page = createConsole();
  const server = createServer((request, response) => page.routes["/console"]?.(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  page.probed({ worker: "decode-0", epoch: "1", rank: 0 }, { outcome: "passed" });
  page.planned([{ pool: "decode", target: 5, current: 4 }]);
  const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/console`);
  expect(await response.text()).toContain("Stator console");
  page.close();
  server.close();
});
