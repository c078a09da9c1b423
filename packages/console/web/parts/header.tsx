import type { State } from "../feed.ts";
import { duration } from "../format.ts";
import type { Theme } from "../theme.ts";

interface Props {
  readonly state: State;
  readonly theme: Theme;
  readonly onTheme: () => void;
  readonly onHelp: () => void;
}

const themeIcons = { auto: "◐", dark: "☾", light: "☀" } as const;

export function Header({ state, theme, onTheme, onHelp }: Props) {
  const ready = [...state.workers.values()].filter((worker) => worker.state === "ready").length;
  return (
    <header>
      <svg class={state.isLive ? "mark live" : "mark"} viewBox="0 0 32 32" aria-hidden="true">
        <circle class="slots" cx="16" cy="16" r="11" />
        <circle class="core" cx="16" cy="16" r="4" />
      </svg>
      <h1>{state.title}</h1>
      <p class="status" role="status">
        <span class={state.isLive ? "dot good" : "dot bad"} />
        {state.isLive ? "live" : "not connected"}
        <span class="quiet wide-only">
          {" "}
          · {ready} of {state.workers.size} workers ready · up {duration(state.uptimeMs)}
        </span>
      </p>
      <button
        type="button"
        onClick={onTheme}
        aria-label={`Theme: ${theme}. Change`}
        title={`Theme: ${theme} (t)`}
      >
        {themeIcons[theme]}
      </button>
      <button type="button" onClick={onHelp} aria-label="Keys" title="Keys (?)">
        ?
      </button>
    </header>
  );
}
