/// <reference lib="dom" />
// The console in a real browser, on a graph under load.
import { existsSync, mkdirSync } from "node:fs";
import { type Browser, chromium, type Page } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ObservedGraph, observedGraph } from "./graph.ts";
import { sendLoad } from "./load.ts";

const executablePath = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
const hasBrowser = existsSync(executablePath);
if (!hasBrowser && process.env["STATOR_REQUIRE"]?.split(",").includes("browser"))
  throw new Error("STATOR_REQUIRE names browser, but chromium is missing.");
if (!hasBrowser) console.log("skipped: no chromium");

const args =
  "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync".split(
    " ",
  );
/** A folder for pictures of the page: `STATOR_SCREENSHOTS=docs/images`. */
const pictures = process.env["STATOR_SCREENSHOTS"];

describe.skipIf(!hasBrowser)("the console", () => {
  let graph: ObservedGraph;
  let browser: Browser;
  let url: string;
  const stop = new AbortController();
  let load: Promise<void>;

  beforeAll(async () => {
    await build({
      configFile: new URL("../../packages/console/web/vite.config.ts", import.meta.url).pathname,
      logLevel: "error",
    });
    graph = await observedGraph({ gpuSources: [] });
    ({ url } = await graph.server.listen({ port: 0 }));
    load = sendLoad({ url, clients: 4, signal: stop.signal });
    browser = await chromium.launch({ executablePath, args });
  }, 60_000);

  afterAll(async () => {
    await browser?.close();
    stop.abort();
    await load;
    await graph?.[Symbol.asyncDispose]();
  }, 30_000);

  async function opened(
    width: number,
    height: number,
    colorScheme: "light" | "dark",
  ): Promise<{ page: Page; errors: string[] }> {
    const page = await browser.newPage({ viewport: { width, height }, colorScheme, reducedMotion: "reduce" });
    page.setDefaultTimeout(10_000);
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(error.message));
    page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
    page.on(
      "request",
      (request) => new URL(request.url()).origin === url || errors.push(`asked ${request.url()}`),
    );
    await page.goto(`${url}/console`);
    await page.locator("#requests-list").getByRole("option").first().waitFor();
    return { page, errors };
  }

  async function picture(page: Page, name: string): Promise<void> {
    if (pictures === undefined) return;
    mkdirSync(pictures, { recursive: true });
    await page.evaluate(() => window.scrollTo(0, 0));
    await page.screenshot({
      path: `${pictures}/${name}.png`,
      fullPage: name !== "console-phone-light" && name !== "console-phone-dark",
    });
  }

  test("workers, requests and figures are live, and nothing is asked of elsewhere", async () => {
    const { page, errors } = await opened(1440, 1000, "dark");
    await page.getByRole("row", { name: /decode-3/ }).waitFor();
    expect(await page.getByRole("row").count()).toBe(7);
    await page.getByText(/6 of 6 workers ready/).waitFor();
    await expect
      .poll(() => page.locator(".figure .value").first().textContent(), { timeout: 8_000 })
      .toMatch(/^[1-9.]+\/s$/);
    const before = await page.locator("#requests-list").getByRole("option").first().getAttribute("id");
    await expect
      .poll(() => page.locator("#requests-list").getByRole("option").first().getAttribute("id"), {
        timeout: 8_000,
      })
      .not.toBe(before);
    expect(errors).toEqual([]);
    await page.close();
  });

  test("with the keyboard alone: write to the model, stop looking, choose a request, read its decision", async () => {
    const { page, errors } = await opened(1440, 1000, "light");
    await page.keyboard.press("/");
    await page.keyboard.type("Hello there");
    await page.keyboard.press("Enter");
    await page.getByRole("log").getByText("Hello there").waitFor();
    await page
      .getByRole("log")
      .getByText(/first .* chunks\/s/)
      .waitFor();
    await page
      .getByRole("heading", { name: /(full|decode|prefill) to/ })
      .first()
      .waitFor();

    await page.keyboard.press("Escape");
    await page.keyboard.press("p");
    await page.getByRole("button", { name: "Resume" }).waitFor();
    await page.keyboard.press("r");
    await page.keyboard.press("Home");
    await page.keyboard.press("ArrowDown");
    const chosen = page.locator("#requests-list").getByRole("option", { selected: true });
    expect(await chosen.count()).toBe(1);
    const id = await chosen.getAttribute("id");
    expect(await page.getByRole("listbox").getAttribute("aria-activedescendant")).toBe(id);
    await page.locator(".candidates .chosen").first().waitFor();

    await page.keyboard.press("?");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "hidden" });
    expect(errors).toEqual([]);
    await page.close();
  });

  test("a worker's death is seen: its slot, the migration, the request that moved", async () => {
    const { page, errors } = await opened(1440, 1000, "dark");
    graph.page.planned([
      { pool: "prefill", target: 2, current: 2, reason: "first tokens are in time" },
      { pool: "decode", target: 5, current: 4, reason: "forecast of tokens per second rises" },
    ]);
    await page.getByText("4 now, 5 wanted").waitFor();
    await page.fill("#chat-input", "Where do tokens come from?");
    await page.press("#chat-input", "Enter");
    await expect
      .poll(
        async () =>
          Number(
            await page
              .getByRole("row", { name: /decode-1/ })
              .locator("td.number")
              .first()
              .textContent(),
          ),
        { timeout: 10_000 },
      )
      .toBeGreaterThan(0);
    if (pictures !== undefined) await page.waitForTimeout(25_000);
    graph.workers.get("decode-1")?.kill();
    await page.locator(".slot.ejected, .slot.dead").first().waitFor({ state: "attached" });
    await page.locator(".moves button").first().click();
    await page.locator(".note.migrated").first().waitFor();
    await picture(page, "console-dark");
    await page.keyboard.press("Escape");
    await page.locator("header button").first().click();
    await page.locator("header button").first().click();
    expect(await page.evaluate(() => document.documentElement.dataset["theme"])).toBe("light");
    await picture(page, "console-light");
    expect(errors).toEqual([]);
    await page.close();
  }, 60_000);

  test.each(["light", "dark"] as const)("at 360 px everything fits, %s", async (scheme) => {
    const { page, errors } = await opened(360, 780, scheme);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(360);
    const cut = await page.evaluate(() =>
      [...document.querySelectorAll("button, h1, h2, .value")]
        .filter((element) => element.getBoundingClientRect().right > 361)
        .map((element) => element.textContent),
    );
    expect(cut).toEqual([]);
    await picture(page, `console-phone-${scheme}`);
    expect(errors).toEqual([]);
    await page.close();
  });

  test.each(["light", "dark"] as const)("text is readable on its ground, %s", async (scheme) => {
    const { page } = await opened(1440, 1000, scheme);
    const ratios = await page.evaluate(() => {
      const canvas = document
        .createElement("canvas")
        .getContext("2d", { willReadFrequently: true }) as CanvasRenderingContext2D;
      const rgb = (css: string): readonly number[] => {
        canvas.fillStyle = css;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
      };
      const light = (css: string): number => {
        const [r = 0, g = 0, b = 0] = rgb(css).map((value) =>
          value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4,
        );
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const style = getComputedStyle(document.documentElement);
      const of = (name: string): number => light(style.getPropertyValue(name).trim());
      const contrast = (a: number, b: number): number => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      const names = [
        "--ink",
        "--quiet",
        "--copper",
        "--prefill",
        "--decode",
        "--both",
        "--good",
        "--warn",
        "--bad",
      ];
      return names.map(
        (name) =>
          [name, Math.min(contrast(of(name), of("--panel")), contrast(of(name), of("--bg")))] as const,
      );
    });
    // WCAG 2.2, 1.4.3: 4.5 to 1 for text.
    expect(ratios.filter(([, ratio]) => ratio < 4.5)).toEqual([]);
    await page.close();
  });
});
