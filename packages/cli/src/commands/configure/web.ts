import { Command } from "commander";
import { createConfiguratorServer, defaultConfiguratorPort } from "@stator/configurator";
import { closeOnSignal } from "@stator/runtime";
import { port } from "../../options.ts";

/** `stator configure web`: the configurator in the browser; nothing leaves it. */
export function webCommand(): Command {
  return new Command("web")
    .description("the configurator as a page; everything is computed in the browser")
    .option("--port <port>", "0 picks one", port, defaultConfiguratorPort)
    .option("--host <address>", "interface to listen on", "127.0.0.1")
    .action(async (flags: { port: number; host: string }) => {
      const server = createConfiguratorServer();
      const { url } = await server.listen(flags);
      process.stdout.write(`listening on ${url}\n`);
      await closeOnSignal(server);
    });
}
