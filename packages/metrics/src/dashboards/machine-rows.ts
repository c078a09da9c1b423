import { figure, lines, type Query, type Row } from "./panel.ts";

/** Rows about machines: GPUs and the processes themselves. */
export function machineRows(p: string): readonly Row[] {
  return [gpu(p), processes(p)];
}

function gpu(p: string): Row {
  const each = (name: string, legend = "GPU {{gpu}}"): Query => ({
    expr: `${p}${name}`,
    legend: `{{instance}} ${legend}`,
  });
  return {
    title: "GPU",
    panels: [
      figure(
        "Energy per 1,000 output tokens",
        "joule",
        "Energy of all GPUs for each 1,000 output tokens of all frontends.",
        `1000 * sum(rate(${p}gpu_energy_joules_total[$__rate_interval])) / sum(rate(${p}frontend_output_tokens_total[$__rate_interval]))`,
        { width: 8 },
      ),
      figure("Power, all GPUs", "watt", "Power draw now.", `sum(${p}gpu_power_watts)`),
      figure(
        "Mean utilization",
        "percentunit",
        "Share of time in which any kernel ran.",
        `avg(${p}gpu_utilization_ratio)`,
        { max: 1 },
      ),
      figure(
        "Sources that answer",
        "short",
        "GPU sources of all processes that answer now.",
        `sum(${p}gpu_source_up)`,
      ),
      figure(
        "GPUs with an XID error",
        "short",
        "GPUs whose last XID error is not 0.",
        `sum(${p}gpu_last_xid != bool 0)`,
        { thresholds: [1, 1] },
      ),
      lines(
        "Utilization",
        "percentunit",
        "Share of time in which any kernel ran.",
        [each("gpu_utilization_ratio")],
        { max: 1 },
      ),
      lines(
        "Tensor cores active",
        "percentunit",
        "Share of cycles; needs DCGM's profiling fields.",
        [each("gpu_tensor_active_ratio")],
        { max: 1 },
      ),
      lines("Power", "watt", "Power draw of each GPU.", [each("gpu_power_watts")]),
      lines(
        "Memory in use",
        "percentunit",
        "Share of device memory.",
        [
          {
            expr: `${p}gpu_memory_used_bytes / ${p}gpu_memory_total_bytes`,
            legend: "{{instance}} GPU {{gpu}}",
          },
        ],
        { max: 1 },
      ),
      lines("Temperature", "celsius", "Temperature of each GPU.", [each("gpu_temperature_celsius")]),
      lines("NVLink and PCIe", "Bps", "Traffic of all GPUs.", [
        { expr: `sum(${p}gpu_nvlink_transmit_bytes_per_second)`, legend: "NVLink out" },
        { expr: `sum(${p}gpu_nvlink_receive_bytes_per_second)`, legend: "NVLink in" },
        { expr: `sum(${p}gpu_pcie_transmit_bytes_per_second)`, legend: "PCIe out" },
        { expr: `sum(${p}gpu_pcie_receive_bytes_per_second)`, legend: "PCIe in" },
      ]),
    ],
  };
}

function processes(p: string): Row {
  const each = (name: string): Query => ({ expr: name, legend: "{{instance}}" });
  return {
    title: "Processes",
    isCollapsed: true,
    panels: [
      lines("Event loop delay, p99", "s", "Above 100 ms, heartbeats come late.", [
        each("nodejs_eventloop_lag_p99_seconds"),
      ]),
      lines("Garbage collection", "percentunit", "Share of time in collection.", [
        {
          expr: "sum by (instance) (rate(nodejs_gc_duration_seconds_sum[$__rate_interval]))",
          legend: "{{instance}}",
        },
      ]),
      lines("CPU", "short", "Cores in use.", [
        { expr: "rate(process_cpu_seconds_total[$__rate_interval])", legend: "{{instance}}" },
      ]),
      lines("Memory", "bytes", "Resident set.", [each("process_resident_memory_bytes")]),
      lines("Open files", "short", "File descriptors, sockets among them.", [each("process_open_fds")]),
      lines("Exposition", "s", "Time that the last scrape took.", [each(`${p}metrics_scrape_seconds`)]),
    ],
  };
}
