export type { PlannerServiceHandle, PlannerServiceOptions } from "./planner-service.ts";
export { createPlannerService } from "./planner-service.ts";
