import { file } from "@stator/kv-transfer";
import { conforms, ownFolder, specifier } from "./suite.ts";

const onDisk = { directory: ownFolder("disk") };
conforms("files on disk", {
  transport: () => file(onDisk),
  isSparse: true,
  module: { specifier, export: "file", options: onDisk },
});

const direct = { directory: ownFolder("direct"), isDirect: true };
conforms(
  "files on disk past the page cache",
  {
    transport: () => file(direct),
    module: { specifier, export: "file", options: direct },
  },
  /pieces|odd sizes|stale epoch|two processes: (reads|blocks)/,
);
