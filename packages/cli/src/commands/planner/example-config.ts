/** A whole `planner.yaml`; a test reads it. */
export const exampleConfig: string = `profile: profile.json            # of \`stator profile --url …\`; by queue and memory alone when absent
slo: { ttftMs: 200, itlMs: 10, percentile: 90 }       # milliseconds, kept by so many per cent of requests
limits:
  graph: disaggregated           # or aggregated: decode workers do both
  gpus: 16                       # never exceeded
  minimum: { prefill: 1, decode: 1 }
metrics:
  urls: ["http://127.0.0.1:8000/metrics"]             # every frontend, or Prometheus' /federate?match[]=…
  model: tiny                    # all models when absent
intervalSeconds: 30              # between decisions
startupSeconds: 60               # from the order of a worker until it serves
listen: { rpcPort: 9110, httpPort: 9111 }             # PlannerService, and /metrics
scaler: { kind: advisory, workers: { prefill: 1, decode: 1 } }   # says only what it would do
# scaler: { kind: webhook, url: "http://127.0.0.1:9000/scale" }
# scaler: { kind: kubernetes, namespace: serving, prefill: { name: prefill }, decode: { name: decode } }
`;

export const exampleHelp: string = `
A whole planner.yaml:

${exampleConfig.replace(/^/gm, "  ").trimEnd()}
`;
