// UCX's functions, found in whatever library is opened at run time. One build serves versions 1.13 to 1.22: the structures carry field masks.
#pragma once
#include <ucp/api/ucp.h>

#include <string>

namespace transfer::ucx {

struct Api {
#define UCX_SYMBOL(name) decltype(&::name) name
  UCX_SYMBOL(ucp_init_version);
  UCX_SYMBOL(ucp_cleanup);
  UCX_SYMBOL(ucp_config_read);
  UCX_SYMBOL(ucp_config_release);
  UCX_SYMBOL(ucp_worker_create);
  UCX_SYMBOL(ucp_worker_destroy);
  UCX_SYMBOL(ucp_worker_get_address);
  UCX_SYMBOL(ucp_worker_release_address);
  UCX_SYMBOL(ucp_worker_progress);
  UCX_SYMBOL(ucp_worker_get_efd);
  UCX_SYMBOL(ucp_worker_arm);
  UCX_SYMBOL(ucp_ep_create);
  UCX_SYMBOL(ucp_ep_close_nbx);
  UCX_SYMBOL(ucp_ep_flush_nbx);
  UCX_SYMBOL(ucp_mem_map);
  UCX_SYMBOL(ucp_mem_unmap);
  UCX_SYMBOL(ucp_rkey_pack);
  UCX_SYMBOL(ucp_rkey_buffer_release);
  UCX_SYMBOL(ucp_ep_rkey_unpack);
  UCX_SYMBOL(ucp_rkey_destroy);
  UCX_SYMBOL(ucp_put_nbx);
  UCX_SYMBOL(ucp_get_nbx);
  UCX_SYMBOL(ucp_request_check_status);
  UCX_SYMBOL(ucp_request_free);
  UCX_SYMBOL(ucp_get_version_string);
  UCX_SYMBOL(ucs_status_string);
#undef UCX_SYMBOL
};

// Opens the library and finds its functions; what went wrong, or "".
std::string LoadApi(const std::string& path, Api& api);

}  // namespace transfer::ucx
