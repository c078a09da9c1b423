import type { BackendName } from "./backend-terms.ts";

/**
 * Whether an engine release is one of the first that ran on Blackwell, in 2025: kernels that were replaced within months.
 */
export function isEarlyBlackwellRelease(backend: BackendName, version: string): boolean {
  // Nightly builds and branches name no release.
  if (!/^v?\d/.test(version)) return false;
  const [major = 0, minor = 0, patch = 0] = version
    .split(/[.\-+]/)
    .map((part) => Number.parseInt(part, 10) || 0);
  switch (backend) {
    case "sglang":
      return major === 0 && (minor < 5 || (minor === 5 && patch < 8));
    case "trtllm":
      return major < 1 || (major === 1 && minor < 2);
    case "vllm":
      return major === 0 && minor < 12;
  }
}
