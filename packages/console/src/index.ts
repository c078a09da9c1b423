export type { Console, ConsoleOptions } from "./create-console.ts";
export { createConsole } from "./create-console.ts";
export type { ConsoleErrorCode } from "./console-error.ts";
export { ConsoleError } from "./console-error.ts";
export type {
  CandidateView,
  DecisionView,
  FeedMessage,
  FlowView,
  MigrationView,
  PlanView,
  RateView,
  RequestView,
  WorkerView,
} from "./feed/views.ts";
