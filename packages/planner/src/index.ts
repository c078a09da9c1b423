export type { PlannerErrorCode } from "./planner-error.ts";
export { PlannerError } from "./planner-error.ts";

export type { CandidateThroughput, WorkerCandidate, WorkerSuggestion } from "./profile/cost-effective.ts";
export { costEffectiveWorkers } from "./profile/cost-effective.ts";
export type { DynamoProfileFiles, DynamoProfileOptions } from "./profile/dynamo-profile.ts";
export { profileFromDynamo, profileToDynamo } from "./profile/dynamo-profile.ts";
export type { DecodePoint, PrefillPoint, Profile } from "./profile/profile.ts";
export { parseProfile } from "./profile/profile.ts";

export type { ItlSurface } from "./interpolation/itl-surface.ts";
export { itlSurface } from "./interpolation/itl-surface.ts";
export type { InterpolationError } from "./interpolation/leave-one-out.ts";
export { interpolationError } from "./interpolation/leave-one-out.ts";
export type { MonotoneCurve, Reading } from "./interpolation/monotone-curve.ts";
export { monotoneCurve } from "./interpolation/monotone-curve.ts";

export { arimaForecaster } from "./forecast/forecasters/arima.ts";
export type { BacktestOptions, BacktestScore } from "./forecast/backtest.ts";
export { backtest, calibratedForecaster, chooseForecaster } from "./forecast/backtest.ts";
export { constantForecaster } from "./forecast/forecasters/constant.ts";
export type { Forecast, ForecastOptions, Forecaster } from "./forecast/forecasters/forecaster.ts";
export { defaultCoverage } from "./forecast/forecasters/forecaster.ts";
export type { LoadForecastOptions, LoadForecastReport } from "./forecast/forecast-load.ts";
export { forecastLoad } from "./forecast/forecast-load.ts";
export type { Horizon } from "./forecast/horizon.ts";
export { horizonOf } from "./forecast/horizon.ts";
export type {
  ForecasterName,
  ForecastThread,
  ForecastThreadOptions,
} from "./forecast/thread/forecast-thread.ts";
export { createForecastThread, defaultForecasters } from "./forecast/thread/forecast-thread.ts";
export type { HarmonicOptions } from "./forecast/forecasters/harmonic.ts";
export { harmonicForecaster } from "./forecast/forecasters/harmonic.ts";
export type { HoltWintersOptions } from "./forecast/forecasters/holt-winters.ts";
export { holtWintersForecaster } from "./forecast/forecasters/holt-winters.ts";
export type { KalmanOptions } from "./forecast/forecasters/kalman.ts";
export { kalmanForecaster } from "./forecast/forecasters/kalman.ts";
export type { ProphetForecasterOptions } from "./forecast/forecasters/prophet.ts";
export { loadProphetForecaster } from "./forecast/forecasters/prophet.ts";

export type {
  Interval,
  Limits,
  LoadForecast,
  Observations,
  Plan,
  Reason,
  Slo,
  Workers,
} from "./decision/types.ts";
export { defaultPercentile, plan } from "./decision/plan.ts";
export { react } from "./decision/react.ts";
export { checkArrivals } from "./decision/check-arrivals.ts";
export { correctPlan } from "./decision/correct-plan.ts";
export type { CorrectPlanOptions } from "./decision/correct-plan.ts";
export type { LoadThresholds } from "./decision/load-based.ts";
export { defaultLoadThresholds, planByLoad } from "./decision/load-based.ts";

export type { Planner, PlannerDecision, PlannerOptions, PlannerTargets } from "./control/create-planner.ts";
export { createPlanner } from "./control/create-planner.ts";
export { combineIntervals } from "./observation/combine.ts";
export type { MetricsSourceOptions, ObservationSource } from "./observation/metrics-source.ts";
export { createMetricsSource } from "./observation/metrics-source.ts";
export type { WorkerLoadsOptions } from "./observation/worker-loads.ts";
export { readWorkerLoads } from "./observation/worker-loads.ts";
export type { AdvisoryOptions } from "./scalers/advisory.ts";
export { advisory } from "./scalers/advisory.ts";
export type { Scaler, ScalerState } from "./scalers/scaler.ts";
export type { ScalingDecision, WebhookOptions } from "./scalers/webhook.ts";
export { webhook } from "./scalers/webhook.ts";
