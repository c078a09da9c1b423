// UCX's functions, found in whatever library is opened at run time. One build serves versions 1.13 to 1.22.
#pragma once
#include <string>

#include "abi.h"

namespace transfer::ucx {

using namespace abi;

struct Api {
  ucs_status_t (*ucp_init_version)(unsigned major, unsigned minor, const ucp_params_t*, const ucp_config_t*, ucp_context_h*);
  void (*ucp_cleanup)(ucp_context_h);
  ucs_status_t (*ucp_config_read)(const char* prefix, const char* file, ucp_config_t**);
  void (*ucp_config_release)(ucp_config_t*);
  ucs_status_t (*ucp_worker_create)(ucp_context_h, const ucp_worker_params_t*, ucp_worker_h*);
  void (*ucp_worker_destroy)(ucp_worker_h);
  ucs_status_t (*ucp_worker_get_address)(ucp_worker_h, ucp_address_t**, size_t* bytes);
  void (*ucp_worker_release_address)(ucp_worker_h, ucp_address_t*);
  unsigned (*ucp_worker_progress)(ucp_worker_h);
  ucs_status_t (*ucp_worker_get_efd)(ucp_worker_h, int* fd);
  ucs_status_t (*ucp_worker_arm)(ucp_worker_h);
  ucs_status_t (*ucp_ep_create)(ucp_worker_h, const ucp_ep_params_t*, ucp_ep_h*);
  void* (*ucp_ep_close_nbx)(ucp_ep_h, const ucp_request_param_t*);
  void* (*ucp_ep_flush_nbx)(ucp_ep_h, const ucp_request_param_t*);
  ucs_status_t (*ucp_mem_map)(ucp_context_h, const ucp_mem_map_params_t*, ucp_mem_h*);
  ucs_status_t (*ucp_mem_unmap)(ucp_context_h, ucp_mem_h);
  ucs_status_t (*ucp_rkey_pack)(ucp_context_h, ucp_mem_h, void** packed, size_t* bytes);
  void (*ucp_rkey_buffer_release)(void* packed);
  ucs_status_t (*ucp_ep_rkey_unpack)(ucp_ep_h, const void* packed, ucp_rkey_h*);
  void (*ucp_rkey_destroy)(ucp_rkey_h);
  void* (*ucp_put_nbx)(ucp_ep_h, const void* from, size_t bytes, uint64_t to, ucp_rkey_h, const ucp_request_param_t*);
  void* (*ucp_get_nbx)(ucp_ep_h, void* to, size_t bytes, uint64_t from, ucp_rkey_h, const ucp_request_param_t*);
  ucs_status_t (*ucp_request_check_status)(void* request);
  void (*ucp_request_free)(void* request);
  const char* (*ucp_get_version_string)();
  const char* (*ucs_status_string)(ucs_status_t);
};

// Opens the library and finds its functions; what went wrong, or "".
std::string LoadApi(const std::string& path, Api& api);

}  // namespace transfer::ucx
