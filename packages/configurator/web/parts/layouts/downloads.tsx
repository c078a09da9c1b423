import { useMemo, useState } from "preact/hooks";
import type { Candidate, GeneratedFile, Target } from "../../../src/index.ts";
import { downloads } from "../../answer.ts";
import type { Inputs } from "../../inputs.ts";

interface DownloadsProps {
  readonly candidate: Candidate;
  readonly target: Target;
  readonly inputs: Inputs;
}

function save({ name, text }: GeneratedFile): void {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}

/** The generated files, to read and to keep. */
export function Downloads({ candidate, target, inputs }: DownloadsProps) {
  const files = useMemo(() => downloads(candidate, target, inputs), [candidate, target, inputs]);
  const [open, setOpen] = useState("layout.yaml");
  const shown = files.find((file) => file.name === open) ?? files[0];
  if (!shown) return null;
  return (
    <section class="panel">
      <div class="panel-title">
        <h3>Files to run it</h3>
        <p class="legend">
          <button type="button" onClick={() => save(shown)}>
            Download {shown.name}
          </button>
          <button type="button" onClick={() => files.forEach(save)}>
            All {files.length}
          </button>
        </p>
      </div>
      <div class="tabs" role="tablist">
        {files.map((file) => (
          <button
            key={file.name}
            type="button"
            role="tab"
            aria-selected={file === shown}
            onClick={() => setOpen(file.name)}
          >
            {file.name}
          </button>
        ))}
      </div>
      <pre tabIndex={0}>{shown.text}</pre>
    </section>
  );
}
