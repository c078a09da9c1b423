const months = Array.from({ length: 12 }, (_, month) => new Date(2000, month, 1));
const monthName = (date: Date, length: "long" | "short"): string =>
  months[date.getMonth()]!.toLocaleDateString("en", { month: length });

function strftimeNow(format: string): string {
  const now = new Date();
  const two = (value: number): string => String(value).padStart(2, "0");
  const fields: Readonly<Record<string, string>> = {
    "%Y": String(now.getFullYear()),
    "%m": two(now.getMonth() + 1),
    "%d": two(now.getDate()),
    "%b": monthName(now, "short"),
    "%B": monthName(now, "long"),
    "%H": two(now.getHours()),
    "%M": two(now.getMinutes()),
    "%S": two(now.getSeconds()),
    "%%": "%",
  };
  return format.replace(/%[a-zA-Z%]/g, (token) => fields[token] ?? token);
}

function raise(message: string): never {
  throw new Error(message);
}

/** Names that transformers gives every chat template. */
export const templateGlobals: Readonly<Record<string, unknown>> = {
  true: true,
  True: true,
  false: false,
  False: false,
  none: null,
  None: null,
  raise_exception: raise,
  strftime_now: strftimeNow,
  range: (...bounds: number[]): number[] => {
    const [start, stop, step] =
      bounds.length === 1 ? [0, bounds[0]!, 1] : [bounds[0]!, bounds[1]!, bounds[2] ?? 1];
    if (step === 0) throw new Error("range() steps by 0");
    return Array.from({ length: Math.max(0, Math.ceil((stop - start) / step)) }, (_, i) => start + i * step);
  },
};
