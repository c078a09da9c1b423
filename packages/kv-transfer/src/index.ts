export type { TransferErrorCode } from "./transfer-error.ts";
export { TransferError } from "./transfer-error.ts";

export {
  createAgent,
  defaultBaseDeadlineMs,
  defaultConnectDeadlineMs,
  defaultInboxMessages,
} from "./agent/create-agent.ts";
export type {
  AllocateOptions,
  PathCandidate,
  PathExplanation,
  PathRequirement,
  Peer,
  RemoteRegion,
  Transfer,
  TransferAgent,
  TransferAgentOptions,
  TransferRequest,
  TransferStats,
  TransferStatus,
} from "./agent/transfer-agent.ts";
export type { DescribedRegion, Descriptors, Piece, StridedPieces } from "./agent/descriptors.ts";
export { concatDescriptors, describe, describePacked } from "./agent/descriptors.ts";
export type { AgentTotals, PathTotals } from "./agent/agent-counts.ts";
export type { Region } from "./agent/region.ts";
export type { Notification } from "./agent/inbox.ts";
export type { Lease, LeaseEnd } from "./agent/lease.ts";

export type {
  AllocatedMemory,
  EpochCheck,
  EpochTable,
  Link,
  MemoryKind,
  OpenTransport,
  Reach,
  RegionMemory,
  RemoteAgent,
  RemoteMemory,
  RunBatch,
  SharedBacking,
  TransferOperation,
  Transport,
  TransportCapabilities,
  TransportHost,
  WireNotification,
  Work,
} from "./transport/transport.ts";
export type { FileTransportOptions } from "./transport/file.ts";
export { file } from "./transport/file.ts";
export { loopback } from "./transport/loopback.ts";
export type { SharedMemoryOptions } from "./transport/shared-memory.ts";
export { sharedMemory } from "./transport/shared-memory.ts";
export type { TcpOptions } from "./transport/tcp.ts";
export { tcp } from "./transport/tcp.ts";

export type { FetchOptions, HandoffSink, HandoffSinkOptions } from "./handoff/handoff-sink.ts";
export { createHandoffSink } from "./handoff/handoff-sink.ts";
export type {
  HandoffOffer,
  HandoffSource,
  HandoffSourceOptions,
  OfferedBlock,
  OfferOptions,
} from "./handoff/handoff-source.ts";
export { createHandoffSource } from "./handoff/handoff-source.ts";
export type { TransferEnds } from "./handoff/create-transfer-ends.ts";
export { createTransferEnds } from "./handoff/create-transfer-ends.ts";
export type { CmaOptions } from "./transport/cma.ts";
export { cma } from "./transport/cma.ts";
export type { AddonState } from "./native/transfer-addon.ts";
export { loadTransferAddon } from "./native/transfer-addon.ts";
export type { KvAxis, KvGeometry, KvModel, KvStrides } from "./layouts/kv-geometry.ts";
export { assertCompatible, kvCompatibilityHash, kvStrides } from "./layouts/kv-geometry.ts";
export type { EngineLayout } from "./layouts/engine-layouts.ts";
export { engineLayouts } from "./layouts/engine-layouts.ts";
export type { RegroupOptions, RegroupPart } from "./layouts/regroup-plan.ts";
export { applyRegroup, planRegroup } from "./layouts/regroup-plan.ts";
export type { OnTierChange, Tier, TierBlock, TierChange, TierPlugin } from "./tiers/kv-tier.ts";
export type { HostTierOptions } from "./tiers/host-tier.ts";
export type { SharedTierOptions } from "./tiers/shared-tier.ts";
export { sharedTier } from "./tiers/shared-tier.ts";
export { hostTier } from "./tiers/host-tier.ts";
export type { DiskTierOptions } from "./tiers/disk-tier.ts";
export { diskTier } from "./tiers/disk-tier.ts";
export type { TierHit, TierStore, TierStoreOptions } from "./tiers/tier-store.ts";
export { createTierStore, defaultMaxPendingBytes } from "./tiers/tier-store.ts";
export type { CudaTransportOptions } from "./transport/cuda.ts";
export { cuda } from "./transport/cuda.ts";
export type { DeviceBacking, GpuContext, GpuDevice, GpuDriver, GpuMemory, GpuStream } from "./cuda/gpu.ts";
export type { UcxOptions } from "./transport/ucx.ts";
export { defaultUcxLibrary, ucx } from "./transport/ucx.ts";
export type { TransferServiceHandle, TransferServiceOptions } from "./control/transfer-service.ts";
export { createTransferService } from "./control/transfer-service.ts";
