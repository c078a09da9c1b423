import { existsSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Browser, Page } from "playwright-core";
import { createConfiguratorServer } from "./server.ts";

const executablePath = "/usr/bin/chromium";
const isRequired = (process.env["STATOR_REQUIRE"] ?? "").split(",").includes("browser");
const hasBrowser = existsSync(executablePath);
if (!hasBrowser && isRequired)
  throw new Error(`STATOR_REQUIRE names browser, but ${executablePath} is missing`);
if (!hasBrowser) console.log("skipped: the configurator's page (no chromium)");

describe.skipIf(!hasBrowser)("the page", () => {
  const server = createConfiguratorServer();
  let browser: Browser;
  let page: Page;
  let url: string;
  const outside: string[] = [];
  const failures: string[] = [];

  beforeAll(async () => {
    const root = fileURLToPath(new URL("..", import.meta.url));
    execFileSync(
      process.execPath,
      [
        fileURLToPath(new URL("../../../node_modules/vite/bin/vite.js", import.meta.url)),
        "build",
        "web",
        "--logLevel",
        "error",
      ],
      { cwd: root },
    );
    url = (await server.listen({ port: 0 })).url;
    const { chromium } = await import("playwright-core");
    browser = await chromium.launch({
      executablePath,
      args: [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    });
    page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    page.on(
      "request",
      (request) =>
        !request.url().startsWith(url) && !/^(data|blob):/.test(request.url()) && outside.push(request.url()),
    );
    page.on("pageerror", (error) => failures.push(error.message));
    await page.goto(url);
    await page.waitForSelector(".figures");
  }, 60_000);

  afterAll(async () => {
    await browser?.close();
    await server.close();
  });

  const headline = (): Promise<string> => page.locator(".headline h2").innerText();

  test("answers in the page: no server round trip, nothing from elsewhere, no error", async () => {
    await page.context().setOffline(true);
    const before = await headline();
    await page.getByRole("button", { name: "Reasoning" }).click();
    await page.getByLabel("GPUs").fill("16");
    await expect.poll(headline).not.toBe(before);
    await page.context().setOffline(false);
    expect(outside).toEqual([]);
    expect(failures).toEqual([]);
  });

  test("a shared address opens the same question", async () => {
    await page.getByRole("button", { name: "Agent" }).click();
    await expect.poll(() => page.url()).toContain("prefix=10240");
    const other = await browser.newPage();
    await other.goto(page.url());
    await other.waitForSelector(".figures");
    expect(await other.locator(".headline h2").innerText()).toBe(await headline());
    await other.close();
  });

  test("hovering the front tells a point's figures, clicking chooses it, dragging narrows the table", async () => {
    await page.getByRole("button", { name: "Long documents" }).click();
    const dot = page.locator("circle.dot").nth(3);
    await dot.scrollIntoViewIfNeeded();
    const at = await dot.boundingBox();
    if (!at) throw new Error("the point has no box");
    await page.mouse.move(at.x + at.width / 2, at.y + at.height / 2);
    await page.waitForSelector(".tip");
    const label = await page.locator(".tip strong").innerText();
    await page.mouse.down();
    await page.mouse.up();
    await expect.poll(headline).toBe(label);
    const plot = await page.locator(".plot svg").boundingBox();
    if (!plot) throw new Error("the plot has no box");
    await page.mouse.move(plot.x + plot.width * 0.6, plot.y + 60);
    await page.mouse.down();
    await page.mouse.move(plot.x + plot.width * 0.98, plot.y + 80, { steps: 4 });
    await page.waitForSelector("rect.band");
    await page.mouse.up();
    await expect
      .poll(() => page.locator(".front .quiet").innerText(), { timeout: 30_000 })
      .toMatch(/Table shows/);
    await page.getByRole("button", { name: "Show all" }).click();
  });

  test("pinned layouts are compared and files can be downloaded", async () => {
    await page.getByRole("button", { name: "Pin to compare" }).click();
    await page.locator(".row-button").nth(2).click();
    await page.getByRole("button", { name: "Pin to compare" }).click();
    await expect.poll(() => page.locator(".comparison th").count()).toBe(3);
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Download layout.yaml" }).click(),
    ]);
    expect(download.suggestedFilename()).toBe("layout.yaml");
  });

  test("what cannot be is refused in words", async () => {
    await page.getByLabel("First token").fill("1");
    await expect.poll(() => page.locator(".refusal").innerText()).toMatch(/Lowest each on its own/);
  });

  test("every other question of the command has a tab of its own", async () => {
    const other = await browser.newPage();
    await other.goto(url);
    await other.getByRole("tab", { name: "Fewest GPUs" }).click();
    await other.getByLabel("To serve").fill("3");
    await expect
      .poll(() => other.locator(".reason").first().innerText())
      .toMatch(/GPUs? (is|are) the fewest/);
    await other.getByRole("tab", { name: "One layout" }).click();
    await other.getByRole("radio", { name: "Static" }).click();
    await other.getByLabel("Batch", { exact: true }).fill("8");
    await expect.poll(() => other.locator(".headline h2").innerText()).toBe("TP2, batch 8");
    await other.getByLabel("TP", { exact: true }).fill("3");
    await expect.poll(() => other.locator(".refusal").innerText()).toMatch(/do not divide by tensor 3/);
    await other.getByRole("tab", { name: "Support" }).click();
    await other.getByLabel("Model contains").fill("gpt-oss");
    await expect.poll(() => other.locator("table.support tbody tr").count()).toBe(6);
    await other.getByRole("tab", { name: "Validate" }).click();
    await other.getByLabel("Measured rows").setInputFiles({
      name: "measured.csv",
      mimeType: "text/csv",
      buffer: Buffer.from(
        "backend,model_path,system,mode,isl,osl,gemm_quant_mode,batch_size,tp_size,silicon_ttft_ms,silicon_tpot_ms\n" +
          "vllm,Qwen/Qwen3-32B,h100_sxm,agg,1024,512,bfloat16,8,2,100,16\n",
      ),
    });
    await expect.poll(() => other.locator("table.scores").innerText()).toMatch(/Qwen\/Qwen3-32B\s+1/);
    // The address says which question it was.
    expect(other.url()).toContain("task=validate");
    await other.close();
  });

  test.each([360, 768, 1440])("fits a window of %i pixels without sideways scrolling", async (width) => {
    const narrow = await browser.newPage({ viewport: { width, height: 800 } });
    await narrow.goto(url);
    await narrow.waitForSelector(".figures");
    expect(await narrow.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(width);
    await narrow.close();
  });
});
