import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { configuratorError } from "./configurator-error.ts";

export interface ConfiguratorServer {
  /** Starts listening; port 0 takes a free one. Default port 7860 on 127.0.0.1. */
  listen(options?: { readonly port?: number; readonly host?: string }): Promise<{ readonly url: string }>;
  close(): Promise<void>;
}

export const defaultConfiguratorPort = 7860;

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

/**
 * Serves the configurator's page: static files only, everything is computed in the browser.
 *
 * @throws ConfiguratorError `CONFIGURATOR_PAGE_MISSING` on `listen` when the page was not built (`npm run bundle`).
 */
export function createConfiguratorServer(): ConfiguratorServer {
  const root = fileURLToPath(new URL("../dist/web/", import.meta.url));
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url ?? "/", "http://page").pathname));
    const file = join(root, path.endsWith("/") ? "index.html" : path);
    if (!file.startsWith(root) || (request.method !== "GET" && request.method !== "HEAD")) {
      response.writeHead(request.method === "GET" ? 404 : 405).end();
      return;
    }
    readFile(file).then(
      (content) =>
        response
          .writeHead(200, {
            "content-type": types[extname(file)] ?? "application/octet-stream",
            "content-security-policy":
              "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:",
          })
          .end(request.method === "HEAD" ? undefined : content),
      () => response.writeHead(404).end(),
    );
  });
  return {
    async listen({ port = defaultConfiguratorPort, host = "127.0.0.1" } = {}) {
      await readFile(join(root, "index.html")).catch((cause: unknown) => {
        throw configuratorError(
          "CONFIGURATOR_PAGE_MISSING",
          "The configurator's page is not built; run `npm run bundle` in packages/configurator",
          { cause: String(cause) },
        );
      });
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen(port, host, resolve);
      });
      const address = server.address() as AddressInfo;
      return {
        url: `http://${address.family === "IPv6" ? `[${address.address}]` : address.address}:${address.port}/`,
      };
    },
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
