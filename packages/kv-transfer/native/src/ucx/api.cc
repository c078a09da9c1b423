#include "api.h"

#include <dlfcn.h>

#include <cstdlib>

namespace transfer::ucx {

std::string LoadApi(const std::string& path, Api& api) {
  // Must be set before the library is loaded; what the operator set stays.
  setenv("UCX_ERROR_SIGNALS", "", 0);
  setenv("UCX_MEM_EVENTS", "n", 0);
  setenv("UCX_WARN_UNUSED_ENV_VARS", "n", 0);
  setenv("UCX_LOG_LEVEL", "fatal", 0);
  setenv("UCX_KEEPALIVE_INTERVAL", "1s", 0);
  // Brings shared memory back under the peer error mode, where UCX leaves it out by itself.
  setenv("UCX_POSIX_ERROR_HANDLING", "y", 0);
  setenv("UCX_SYSV_ERROR_HANDLING", "y", 0);
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) return dlerror();
  std::string missing;
#define UCX_FIND(name)                                                      \
  api.name = reinterpret_cast<decltype(api.name)>(dlsym(handle, #name));    \
  if (api.name == nullptr) missing += std::string(missing.empty() ? "" : ", ") + #name
  UCX_FIND(ucp_init_version);
  UCX_FIND(ucp_cleanup);
  UCX_FIND(ucp_config_read);
  UCX_FIND(ucp_config_release);
  UCX_FIND(ucp_worker_create);
  UCX_FIND(ucp_worker_destroy);
  UCX_FIND(ucp_worker_get_address);
  UCX_FIND(ucp_worker_release_address);
  UCX_FIND(ucp_worker_progress);
  UCX_FIND(ucp_worker_get_efd);
  UCX_FIND(ucp_worker_arm);
  UCX_FIND(ucp_ep_create);
  UCX_FIND(ucp_ep_close_nbx);
  UCX_FIND(ucp_ep_flush_nbx);
  UCX_FIND(ucp_mem_map);
  UCX_FIND(ucp_mem_unmap);
  UCX_FIND(ucp_rkey_pack);
  UCX_FIND(ucp_rkey_buffer_release);
  UCX_FIND(ucp_ep_rkey_unpack);
  UCX_FIND(ucp_rkey_destroy);
  UCX_FIND(ucp_put_nbx);
  UCX_FIND(ucp_get_nbx);
  UCX_FIND(ucp_request_check_status);
  UCX_FIND(ucp_request_free);
  UCX_FIND(ucp_get_version_string);
  UCX_FIND(ucs_status_string);
#undef UCX_FIND
  return missing.empty() ? "" : "it lacks " + missing;
}

}  // namespace transfer::ucx
