import { useEffect, useRef, useState } from "preact/hooks";
import { chatStream, listModels, type Message } from "../chat-stream.ts";
import { duration } from "../format.ts";

interface Turn extends Message {
  readonly reasoning?: string;
  readonly requestId?: string;
  readonly firstMs?: number;
  readonly durationMs?: number;
  readonly chunks?: number;
  readonly error?: string;
}

/** Try the model: the same route that clients use. */
export function Chat({ onRequest }: { readonly onRequest: (key: string) => void }) {
  const [models, setModels] = useState<readonly string[]>([]);
  const [model, setModel] = useState("");
  const [turns, setTurns] = useState<readonly Turn[]>([]);
  const [running, setRunning] = useState<AbortController>();
  const input = useRef<HTMLTextAreaElement>(null);
  const log = useRef<HTMLDivElement>(null);

  useEffect(() => {
    let timer: ReturnType<typeof setTimeout>;
    const look = async (): Promise<void> => {
      const found = await listModels().catch(() => []);
      setModels(found);
      setModel((before) => (before === "" ? (found[0] ?? "") : before));
      // Workers may still be starting.
      timer = setTimeout(() => void look(), found.length === 0 ? 2_000 : 30_000);
    };
    void look();
    return () => clearTimeout(timer);
  }, []);

  useEffect(() => {
    log.current?.scrollTo({ top: log.current.scrollHeight });
  }, [turns]);

  const send = async (): Promise<void> => {
    const content = input.current?.value.trim() ?? "";
    if (content === "" || model === "" || running !== undefined || input.current === null) return;
    input.current.value = "";
    const history: readonly Turn[] = [...turns, { role: "user", content }];
    let answer: Turn = { role: "assistant", content: "" };
    const show = (): void => setTurns([...history, answer]);
    show();
    const abort = new AbortController();
    setRunning(abort);
    const startMs = performance.now();
    try {
      const messages = history
        .filter((turn) => turn.error === undefined)
        .map(({ role, content: text }) => ({ role, content: text }));
      for await (const piece of chatStream(model, messages, abort.signal)) {
        const nowMs = performance.now() - startMs;
        const isEmpty = piece.text === "" && piece.reasoning === "";
        if (answer.requestId === undefined && piece.id !== "") onRequest(`${piece.id}/0`);
        answer = {
          ...answer,
          requestId: piece.id,
          content: answer.content + piece.text,
          reasoning: (answer.reasoning ?? "") + piece.reasoning,
          durationMs: nowMs,
          chunks: (answer.chunks ?? 0) + (isEmpty ? 0 : 1),
          ...(answer.firstMs === undefined && !isEmpty ? { firstMs: nowMs } : {}),
        };
        show();
      }
    } catch (error) {
      answer = abort.signal.aborted
        ? { ...answer, content: `${answer.content} …` }
        : { ...answer, error: error instanceof Error ? error.message : String(error) };
      show();
    } finally {
      setRunning(undefined);
    }
  };

  const onKey = (event: KeyboardEvent): void => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      void send();
    } else if (event.key === "Escape") {
      running?.abort();
      input.current?.blur();
    }
  };

  return (
    <section class="panel chat" aria-labelledby="chat-title">
      <div class="panel-head">
        <h2 id="chat-title">Chat</h2>
        <select aria-label="Model" value={model} onChange={(event) => setModel(event.currentTarget.value)}>
          {models.length === 0 && <option value="">no model yet</option>}
          {models.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </div>
      <div class="log" ref={log} role="log" aria-label="Conversation" tabIndex={0}>
        {turns.length === 0 && <p class="empty">Say something, and watch where it goes.</p>}
        {turns.map((turn, i) => (
          <div key={i} class={`turn ${turn.role}`}>
            {turn.reasoning !== undefined && turn.reasoning !== "" && (
              <details class="thoughts" open={turn.content === ""}>
                <summary>Thoughts</summary>
                <p>{turn.reasoning}</p>
              </details>
            )}
            <p>{turn.content === "" && turn.error === undefined ? <span class="caret" /> : turn.content}</p>
            {turn.error !== undefined && <p class="error">{turn.error}</p>}
            {turn.firstMs !== undefined && (
              <p class="quiet mono">
                first {duration(turn.firstMs)}, {rate(turn)} chunks/s
              </p>
            )}
          </div>
        ))}
      </div>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void send();
        }}
      >
        <textarea
          id="chat-input"
          ref={input}
          rows={2}
          placeholder="Message (Enter sends)"
          aria-label="Message"
          onKeyDown={onKey}
        />
        {running === undefined ? (
          <button type="submit" class="primary" disabled={model === ""}>
            Send
          </button>
        ) : (
          <button type="button" onClick={() => running.abort()}>
            Stop
          </button>
        )}
      </form>
    </section>
  );
}

function rate({ chunks = 0, firstMs = 0, durationMs = 0 }: Turn): string {
  const seconds = (durationMs - firstMs) / 1000;
  return seconds <= 0 || chunks < 2 ? "–" : ((chunks - 1) / seconds).toFixed(0);
}
