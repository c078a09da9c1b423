// UCX's interface as far as KV transfer needs it, declared here from its public documentation (versions 1.13 to 1.22): nothing of UCX is needed to build.
// Structures carry masks of the fields that are set; newer versions append to them, and read no field that is not named. Where UCX's headers are at
// hand, abi_check.cc holds all this against them.
#pragma once
#include <cstddef>
#include <cstdint>

namespace transfer::ucx::abi {

using ucs_status_t = int8_t;
constexpr ucs_status_t UCS_OK = 0;
constexpr ucs_status_t UCS_INPROGRESS = 1;
constexpr ucs_status_t UCS_ERR_BUSY = -15;
constexpr ucs_status_t UCS_ERR_CANCELED = -16;
constexpr ucs_status_t UCS_ERR_LAST = -100;

// A request, a status in the clothes of one, or nothing where all is done.
inline bool UCS_PTR_IS_ERR(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer) >= static_cast<uintptr_t>(static_cast<intptr_t>(UCS_ERR_LAST)); }
inline bool UCS_PTR_IS_PTR(const void* pointer) { return pointer != nullptr && !UCS_PTR_IS_ERR(pointer); }
inline ucs_status_t UCS_PTR_STATUS(const void* pointer) { return UCS_PTR_IS_PTR(pointer) ? UCS_INPROGRESS : static_cast<ucs_status_t>(reinterpret_cast<intptr_t>(pointer)); }

struct ucp_config_t;
struct ucp_address_t;
using ucp_context_h = struct ucp_context*;
using ucp_worker_h = struct ucp_worker*;
using ucp_ep_h = struct ucp_ep*;
using ucp_mem_h = struct ucp_mem*;
using ucp_rkey_h = struct ucp_rkey*;

constexpr unsigned UCP_API_MAJOR = 1;
constexpr unsigned UCP_API_MINOR = 13;
// Behind the fields that we set: room for those of versions to come.
constexpr size_t kRoom = 256;

constexpr uint64_t UCP_PARAM_FIELD_FEATURES = 1u << 0;
constexpr uint64_t UCP_FEATURE_RMA = 1u << 1;
constexpr uint64_t UCP_FEATURE_WAKEUP = 1u << 4;
struct ucp_params_t {
  uint64_t field_mask;
  uint64_t features;
  char room[kRoom];
};

constexpr uint64_t UCP_WORKER_PARAM_FIELD_THREAD_MODE = 1u << 0;
constexpr int UCS_THREAD_MODE_SERIALIZED = 1;
struct ucp_worker_params_t {
  uint64_t field_mask;
  int thread_mode;
  char room[kRoom];
};

constexpr uint64_t UCP_EP_PARAM_FIELD_REMOTE_ADDRESS = 1u << 0;
constexpr uint64_t UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE = 1u << 1;
constexpr uint64_t UCP_EP_PARAM_FIELD_ERR_HANDLER = 1u << 2;
constexpr int UCP_ERR_HANDLING_MODE_PEER = 1;
struct ucp_err_handler_t {
  void (*cb)(void* argument, ucp_ep_h endpoint, ucs_status_t status);
  void* arg;
};
struct ucp_ep_params_t {
  uint64_t field_mask;
  const ucp_address_t* address;
  int err_mode;
  ucp_err_handler_t err_handler;
  char room[kRoom];
};

constexpr uint64_t UCP_MEM_MAP_PARAM_FIELD_ADDRESS = 1u << 0;
constexpr uint64_t UCP_MEM_MAP_PARAM_FIELD_LENGTH = 1u << 1;
struct ucp_mem_map_params_t {
  uint64_t field_mask;
  void* address;
  size_t length;
  char room[kRoom];
};

constexpr uint32_t UCP_OP_ATTR_FIELD_CALLBACK = 1u << 1;
constexpr uint32_t UCP_OP_ATTR_FIELD_USER_DATA = 1u << 2;
constexpr uint32_t UCP_OP_ATTR_FIELD_FLAGS = 1u << 4;
constexpr uint32_t UCP_OP_ATTR_FLAG_MULTI_SEND = 1u << 19;
constexpr uint32_t UCP_EP_CLOSE_FLAG_FORCE = 1u << 0;
struct ucp_request_param_t {
  uint32_t op_attr_mask;
  uint32_t flags;
  void* request;
  union {
    void (*send)(void* request, ucs_status_t status, void* user);
  } cb;
  uint64_t datatype;
  void* user_data;
  char room[kRoom];
};

}  // namespace transfer::ucx::abi
