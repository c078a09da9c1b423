import { useEffect, useRef } from "preact/hooks";
import type { RequestView } from "../../src/feed/views.ts";
import { count, duration } from "../format.ts";

interface Props {
  readonly requests: readonly RequestView[];
  readonly selected: string | undefined;
  readonly onSelect: (key: string) => void;
  readonly isPaused: boolean;
  readonly onPause: () => void;
}

/** The last requests, newest first; arrow keys move the choice. */
export function Requests({ requests, selected, onSelect, isPaused, onPause }: Props) {
  const list = useRef<HTMLDivElement>(null);
  const shown = requests.slice(0, 60);
  const longest = Math.max(1, ...shown.map(({ durationMs }) => durationMs));

  useEffect(() => {
    const box = list.current;
    const row = box?.querySelector<HTMLElement>('[aria-selected="true"]');
    if (box === null || row === null || row === undefined) return;
    // Only the list scrolls: the page stays where its reader is.
    if (row.offsetTop < box.scrollTop) box.scrollTop = row.offsetTop;
    else if (row.offsetTop + row.offsetHeight > box.scrollTop + box.clientHeight)
      box.scrollTop = row.offsetTop + row.offsetHeight - box.clientHeight;
  }, [selected]);

  const onKey = (event: KeyboardEvent): void => {
    const at = shown.findIndex(({ key }) => key === selected);
    const moves: Readonly<Record<string, number>> = {
      ArrowDown: at + 1,
      ArrowUp: Math.max(0, at - 1),
      Home: 0,
      End: shown.length - 1,
    };
    const next = moves[event.key];
    const request = next === undefined ? undefined : shown[Math.min(next, shown.length - 1)];
    if (request === undefined) return;
    event.preventDefault();
    onSelect(request.key);
  };

  return (
    <section class="panel requests" aria-labelledby="requests-title">
      <div class="panel-head">
        <h2 id="requests-title">Requests</h2>
        <span class="legend" aria-hidden="true">
          <i class="queued" /> queued <i class="prefill" /> prefill <i class="decode" /> decode{" "}
          <i class="migrated" /> migrated
        </span>
        <button type="button" onClick={onPause} aria-pressed={isPaused} title="Pause (p)">
          {isPaused ? "Resume" : "Pause"}
        </button>
      </div>
      <div class="request head" aria-hidden="true">
        <span>Request</span>
        <span>Place</span>
        <span class="number">In</span>
        <span class="number">Cached</span>
        <span class="number">Out</span>
        <span class="number">First</span>
        <span class="number">Between</span>
        <span>Time</span>
      </div>
      <div
        id="requests-list"
        class="list"
        ref={list}
        role="listbox"
        tabIndex={0}
        aria-label="Requests, newest first"
        aria-activedescendant={selected === undefined ? undefined : optionId(selected)}
        onKeyDown={onKey}
      >
        {shown.map((request) => (
          <Row
            key={request.key}
            request={request}
            longest={longest}
            isSelected={request.key === selected}
            onSelect={onSelect}
          />
        ))}
        {shown.length === 0 && (
          <p class="empty">Requests appear here as they come. Try one in the chat box.</p>
        )}
      </div>
    </section>
  );
}

interface RowProps {
  readonly request: RequestView;
  readonly longest: number;
  readonly isSelected: boolean;
  readonly onSelect: (key: string) => void;
}

function Row({ request, longest, isSelected, onSelect }: RowProps) {
  const isBad = request.end === "error" || request.end === "abort";
  const place =
    request.prefillWorker === undefined
      ? (request.worker ?? "–")
      : `${request.prefillWorker} → ${request.worker ?? "…"}`;
  return (
    <div
      id={optionId(request.key)}
      class={`request ${request.stage} ${isBad ? "bad" : ""}`}
      role="option"
      aria-selected={isSelected}
      onClick={() => onSelect(request.key)}
    >
      <span class="mono name">
        <span class={`stage-mark ${request.stage} ${isBad ? "bad" : ""}`} aria-hidden="true" />
        {shortId(request)}
        <span class="quiet">
          {" "}
          {isBad
            ? (request.code ?? "error")
            : request.end === "cancelled"
              ? "cancelled"
              : request.stage === "done"
                ? ""
                : request.stage}
        </span>
      </span>
      <span class="mono place" title={place}>
        {place}
      </span>
      <span class="number">{count(request.promptTokens)}</span>
      <span class="number">{count(request.cachedTokens)}</span>
      <span class="number">{count(request.outputTokens)}</span>
      <span class="number">{duration(request.ttftMs)}</span>
      <span class="number">{duration(request.itlMs)}</span>
      <Timeline request={request} longest={longest} />
    </div>
  );
}

/** Queue, prefill and decode to scale, with a mark where the request moved. */
export function Timeline({ request, longest }: { readonly request: RequestView; readonly longest: number }) {
  const { durationMs, migrations } = request;
  const queued = Math.min(durationMs, request.queuedMs ?? (request.stage === "queued" ? durationMs : 0));
  const first = Math.min(
    durationMs,
    request.ttftMs ?? (request.stage === "done" || request.stage === "queued" ? queued : durationMs),
  );
  const share = (ms: number): string => `${(Math.max(0, ms) / longest) * 100}%`;
  return (
    <span class="timeline" title={`${duration(durationMs)} in all`}>
      <i class="queued" style={{ width: share(queued) }} />
      <i class="prefill" style={{ width: share(first - queued) }} />
      <i class="decode" style={{ width: share(durationMs - first) }} />
      {migrations.map((migration, i) => (
        <b key={i} style={{ "--at": Math.min(1, Math.max(0, migration.atMs) / longest) }} />
      ))}
      <em>{duration(durationMs)}</em>
    </span>
  );
}

function optionId(key: string): string {
  return `request-${key.replaceAll(/[^\w-]/g, "_")}`;
}

function shortId({ id, choice }: RequestView): string {
  const tail = id.replace(/^(chatcmpl|cmpl)-/, "").slice(0, 8);
  return choice === 0 ? tail : `${tail}#${choice}`;
}
