// API reports: `etc/<door>.api.md` of every package door, made by api-extractor from the built declarations.
// `--write` updates them; without it a difference is an error that shows which door changed.
import { existsSync, mkdirSync, readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { Extractor, ExtractorConfig } from "@microsoft/api-extractor";

const isWriting = process.argv.includes("--write");
let changed = 0;
for (const name of readdirSync("packages")) {
  const folder = path.resolve("packages", name);
  const { exports } = JSON.parse(readFileSync(path.join(folder, "package.json"), "utf8"));
  for (const [door, target] of Object.entries(exports)) {
    const types = target.types;
    if (types === undefined || !existsSync(path.join(folder, types))) continue;
    const report = `${door === "." ? "index" : door.slice(2).replaceAll("/", "-")}.api.md`;
    mkdirSync(path.join(folder, "etc"), { recursive: true });
    const config = ExtractorConfig.prepare({
      packageJsonFullPath: path.join(folder, "package.json"),
      configObjectFullPath: undefined,
      configObject: {
        projectFolder: folder,
        mainEntryPointFilePath: path.join(folder, types),
        compiler: {
          overrideTsconfig: {
            compilerOptions: {
              target: "es2023",
              lib: ["es2023", "esnext.disposable"],
              module: "nodenext",
              moduleResolution: "nodenext",
              types: ["node"],
              skipLibCheck: true,
              strict: true,
            },
          },
        },
        apiReport: {
          enabled: true,
          reportFileName: report,
          reportFolder: path.join(folder, "etc"),
          reportTempFolder: path.join(folder, "dist", ".api"),
        },
        docModel: { enabled: false },
        dtsRollup: { enabled: false },
        tsdocMetadata: { enabled: false },
        messages: {
          compilerMessageReporting: { default: { logLevel: "none" } },
          extractorMessageReporting: { default: { logLevel: "none" } },
          tsdocMessageReporting: { default: { logLevel: "none" } },
        },
      },
    });
    const { apiReportChanged } = Extractor.invoke(config, {
      localBuild: isWriting,
      showVerboseMessages: false,
      messageCallback: (message) => {
        message.handled = true;
      },
    });
    if (apiReportChanged) {
      changed += 1;
      console.log(`${isWriting ? "updated" : "changed"}: packages/${name}/etc/${report}`);
    }
  }
}
if (changed > 0 && !isWriting) {
  console.error(
    "The public API differs from its report. Run `npm run api:write`, and say why in the commit.",
  );
  process.exit(1);
}
