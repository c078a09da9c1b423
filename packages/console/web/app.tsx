import { useEffect, useMemo, useState } from "preact/hooks";
import { useFeed } from "./feed.ts";
import { Chat } from "./parts/chat.tsx";
import { Figures } from "./parts/figures.tsx";
import { Header } from "./parts/header.tsx";
import { Help } from "./parts/help.tsx";
import { Inspector } from "./parts/inspector.tsx";
import { Migrations } from "./parts/migrations.tsx";
import { Plan } from "./parts/plan.tsx";
import { Requests } from "./parts/requests.tsx";
import { Ring } from "./parts/ring.tsx";
import { Workers } from "./parts/workers.tsx";
import { applyTheme, nextTheme, storedTheme } from "./theme.ts";

export function App() {
  const [isPaused, setPaused] = useState(false);
  const [isHelpOpen, setHelpOpen] = useState(false);
  const [theme, setTheme] = useState(storedTheme);
  const [selected, setSelected] = useState<string>();
  const state = useFeed(isPaused);
  const request = useMemo(
    () => state.requests.find(({ key }) => key === selected),
    [state.requests, selected],
  );
  const workers = useMemo(() => [...state.workers.values()].sort(byRoleAndName), [state.workers]);

  const changeTheme = (): void => {
    const next = nextTheme(theme);
    applyTheme(next);
    setTheme(next);
  };

  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const isTyping = event.target instanceof HTMLElement && event.target.matches("input, textarea, select");
      if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "/") document.getElementById("chat-input")?.focus();
      else if (event.key === "r") document.getElementById("requests-list")?.focus();
      else if (event.key === "p") setPaused((before) => !before);
      else if (event.key === "t") changeTheme();
      else if (event.key === "?") setHelpOpen(true);
      else return;
      event.preventDefault();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  });

  return (
    <>
      <a class="skip" href="#requests-list">
        Skip to the requests
      </a>
      <Header state={state} theme={theme} onTheme={changeTheme} onHelp={() => setHelpOpen(true)} />
      <main>
        <Figures rates={state.rates} />
        <div class="columns">
          <section class="panel topology" aria-labelledby="topology-title">
            <h2 id="topology-title">Workers</h2>
            <div class="topology-inner">
              <figure>
                <Ring workers={workers} flows={state.flows} rate={state.rates.at(-1)} />
                <figcaption class="quiet">Slots fill with KV blocks; the arc inside is what runs.</figcaption>
              </figure>
              <Workers workers={workers} />
            </div>
          </section>
          <Chat onRequest={setSelected} />
        </div>
        <div class="columns">
          <Requests
            requests={state.requests}
            selected={selected}
            onSelect={setSelected}
            isPaused={isPaused}
            onPause={() => setPaused(!isPaused)}
          />
          <Inspector request={request} />
        </div>
        <div class="columns even">
          <Migrations requests={state.requests} onSelect={setSelected} />
          <Plan plan={state.plan} workers={workers} />
        </div>
      </main>
      <Help isOpen={isHelpOpen} onClose={() => setHelpOpen(false)} />
    </>
  );
}

const roleOrder = { prefill: 0, both: 1, decode: 2 } as const;

function byRoleAndName(
  a: { role: keyof typeof roleOrder; id: string },
  b: { role: keyof typeof roleOrder; id: string },
): number {
  return roleOrder[a.role] - roleOrder[b.role] || a.id.localeCompare(b.id, undefined, { numeric: true });
}
