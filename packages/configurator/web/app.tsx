import { useEffect, useState } from "preact/hooks";
import type { Candidate } from "../src/index.ts";
import { describeWorkers } from "../src/index.ts";
import type { Inputs } from "./inputs.ts";
import { fromFragment, toFragment } from "./inputs.ts";
import { Controls } from "./parts/controls/controls.tsx";
import { Comparison } from "./parts/layouts/comparison.tsx";
import type { Pinned } from "./parts/layouts/comparison.tsx";
import { EstimateTask } from "./parts/tasks/estimate-task.tsx";
import { LayoutsTask } from "./parts/tasks/layouts-task.tsx";
import { SupportTask } from "./parts/tasks/support-task.tsx";
import { TaskTabs } from "./parts/tasks/task-tabs.tsx";
import { ValidateTask } from "./parts/tasks/validate-task.tsx";
import { applyTheme, nextTheme, storedTheme } from "./theme.ts";

const mostPinned = 5;

export function App() {
  const [inputs, setInputs] = useState<Inputs>(() => fromFragment(location.hash));
  const [theme, setTheme] = useState(storedTheme);
  const [pinned, setPinned] = useState<readonly Pinned[]>([]);
  const [isCopied, setCopied] = useState(false);

  useEffect(() => {
    const fragment = toFragment(inputs);
    history.replaceState(
      undefined,
      "",
      fragment === "" ? location.pathname + location.search : `#${fragment}`,
    );
  }, [inputs]);
  useEffect(() => {
    const read = (): void => setInputs(fromFragment(location.hash));
    addEventListener("hashchange", read);
    return () => removeEventListener("hashchange", read);
  }, []);

  const change = (values: Partial<Inputs>): void => setInputs((before) => ({ ...before, ...values }));
  const pin = (candidate: Candidate, of: Inputs): void => {
    const key = `${candidate.mode} ${describeWorkers(candidate.workers)} ${of.model} ${of.system} ${of.mode}`;
    setPinned((before) =>
      [...before.filter((entry) => entry.key !== key), { key, candidate, inputs: of }].slice(-mostPinned),
    );
  };
  const share = async (): Promise<void> => {
    await navigator.clipboard?.writeText(location.href).catch(() => undefined);
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  const isTable = inputs.task === "support" || inputs.task === "validate";

  return (
    <>
      <header class="top">
        <div class="brand">
          <img src="./icon.svg" alt="" width="28" height="28" />
          <div>
            <h1>Configurator</h1>
            <p>Which layout, how many GPUs. Computed in this page.</p>
          </div>
        </div>
        <div class="actions">
          <button type="button" onClick={() => void share()}>
            {isCopied ? "Link copied" : "Copy link"}
          </button>
          <button
            type="button"
            aria-label={`Theme: ${theme}`}
            onClick={() => {
              const next = nextTheme(theme);
              applyTheme(next);
              setTheme(next);
            }}
          >
            {theme === "dark" ? "Dark" : theme === "light" ? "Light" : "Auto"}
          </button>
        </div>
      </header>
      <TaskTabs task={inputs.task} choose={(task) => change({ task })} />
      <main class={isTable ? "is-whole" : ""}>
        {!isTable && (
          <aside>
            <Controls inputs={inputs} change={change} />
          </aside>
        )}
        <div class="results" aria-live="polite">
          {(inputs.task === "search" || inputs.task === "recommend") && (
            <LayoutsTask inputs={inputs} pin={pin} />
          )}
          {inputs.task === "estimate" && <EstimateTask inputs={inputs} pin={pin} />}
          {inputs.task === "support" && <SupportTask />}
          {inputs.task === "validate" && <ValidateTask />}
          {!isTable && (
            <Comparison
              pinned={pinned}
              unpin={(key) => setPinned((before) => before.filter((entry) => entry.key !== key))}
            />
          )}
          <footer>
            Times are means from a roofline calibrated on measured kernels and deployments; ranges hold eight
            of ten measured ones.
          </footer>
        </div>
      </main>
    </>
  );
}
