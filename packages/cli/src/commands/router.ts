import { Command } from "commander";
import { closeOnSignal } from "@stator/runtime";
import { readRouterConfig } from "../router/router-config.ts";
import { runRouter } from "../router/run-router.ts";

/** `stator router`: the KV-aware decision as a service, for gateways in any language. */
export function routerCommand(): Command {
  return new Command("router")
    .requiredOption("--config <router.yaml>", "selector options and addresses")
    .action(async ({ config }: { config: string }) => {
      const router = await runRouter(await readRouterConfig(config));
      process.stdout.write(`RouterService on ${router.rpcUrl}\nindexer on ${router.httpUrl}\n`);
      await closeOnSignal(router);
    });
}
