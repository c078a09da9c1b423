import { useEffect, useMemo, useState } from "preact/hooks";
import type { Candidate } from "../src/index.ts";
import { describeWorkers } from "../src/index.ts";
import { answer } from "./answer.ts";
import type { Inputs } from "./inputs.ts";
import { fromFragment, toFragment } from "./inputs.ts";
import { Accounts } from "./parts/accounts.tsx";
import { Comparison } from "./parts/comparison.tsx";
import type { Pinned } from "./parts/comparison.tsx";
import { Controls } from "./parts/controls.tsx";
import { Downloads } from "./parts/downloads.tsx";
import { Front } from "./parts/front.tsx";
import { Headline } from "./parts/headline.tsx";
import { LayoutDrawing } from "./parts/layout-drawing.tsx";
import { LayoutTable } from "./parts/layout-table.tsx";
import { applyTheme, nextTheme, storedTheme } from "./theme.ts";

const identity = (candidate: Candidate): string => `${candidate.mode} ${describeWorkers(candidate.workers)}`;

export function App() {
  const [inputs, setInputs] = useState<Inputs>(() => fromFragment(location.hash));
  const [theme, setTheme] = useState(storedTheme);
  const [chosen, setChosen] = useState<string>();
  const [band, setBand] = useState<readonly [number, number]>();
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

  const found = useMemo(() => answer(inputs), [inputs]);
  const change = (values: Partial<Inputs>): void => {
    setInputs((before) => ({ ...before, ...values }));
    setChosen(undefined);
    setBand(undefined);
  };

  const known = useMemo(() => {
    const all = new Map<string, Candidate>();
    if (found.kind === "found")
      for (const candidate of [...found.result.pareto, ...found.result.layouts])
        all.set(identity(candidate), candidate);
    return all;
  }, [found]);
  const best = found.kind === "found" ? found.result.layouts[0] : undefined;
  const selected = (chosen === undefined ? undefined : known.get(chosen)) ?? best;

  const share = async (): Promise<void> => {
    await navigator.clipboard?.writeText(location.href).catch(() => undefined);
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };

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
      <main>
        <aside>
          <Controls inputs={inputs} change={change} />
        </aside>
        <div class="results" aria-live="polite">
          {found.kind === "refused" ? (
            <section class="panel refusal" role="alert">
              <h2>No layout for this</h2>
              <p>{found.message}</p>
            </section>
          ) : (
            selected &&
            best && (
              <>
                <Headline
                  candidate={selected}
                  best={best}
                  result={found.result}
                  inputs={inputs}
                  tookMs={found.tookMs}
                  pin={() =>
                    setPinned((before) =>
                      [
                        ...before.filter(
                          (entry) => entry.key !== identity(selected) + inputs.model + inputs.system,
                        ),
                        {
                          key: identity(selected) + inputs.model + inputs.system,
                          candidate: selected,
                          inputs,
                        },
                      ].slice(-5),
                    )
                  }
                />
                <div class="pair">
                  <Front
                    result={found.result}
                    selected={selected}
                    limitSpeed={1000 / inputs.tpot}
                    band={band}
                    setBand={setBand}
                    choose={(candidate) => setChosen(identity(candidate))}
                  />
                  <LayoutDrawing
                    candidate={selected}
                    gpus={inputs.gpus}
                    gpusPerNode={found.target.system.gpusPerNode}
                  />
                </div>
                <LayoutTable
                  layouts={found.result.layouts}
                  selected={selected}
                  band={band}
                  choose={(candidate) => setChosen(identity(candidate))}
                />
                <Accounts candidate={selected} inputs={inputs} />
                <Comparison
                  pinned={pinned}
                  unpin={(key) => setPinned((before) => before.filter((entry) => entry.key !== key))}
                />
                <Downloads candidate={selected} target={found.target} inputs={inputs} />
              </>
            )
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
