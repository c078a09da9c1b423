import type { Task } from "../../inputs.ts";

const names: Readonly<Record<Task, string>> = {
  search: "Best layout",
  recommend: "Fewest GPUs",
  estimate: "One layout",
  support: "Support",
  validate: "Validate",
};

interface TaskTabsProps {
  readonly task: Task;
  readonly choose: (task: Task) => void;
}

/** What is asked of the configurator. */
export function TaskTabs({ task, choose }: TaskTabsProps) {
  return (
    <nav class="tasks tabs" role="tablist" aria-label="Task">
      {(Object.keys(names) as Task[]).map((name) => (
        <button
          key={name}
          type="button"
          role="tab"
          aria-selected={task === name}
          onClick={() => choose(name)}
        >
          {names[name]}
        </button>
      ))}
    </nav>
  );
}
