// Holds abi.h against UCX's own headers, where they are installed. Compiles to nothing.
#include "abi.h"

#if __has_include(<ucp/api/ucp.h>)
#include <ucp/api/ucp.h>

namespace abi = transfer::ucx::abi;

#define SAME_PLACE(type, field) static_assert(offsetof(abi::type, field) == offsetof(::type, field) && sizeof(abi::type::field) == sizeof(::type::field), #type "." #field)
#define SAME_VALUE(name) static_assert(static_cast<int64_t>(abi::name) == static_cast<int64_t>(::name), #name)

SAME_PLACE(ucp_params_t, features);
SAME_PLACE(ucp_worker_params_t, thread_mode);
SAME_PLACE(ucp_ep_params_t, address);
SAME_PLACE(ucp_ep_params_t, err_mode);
SAME_PLACE(ucp_ep_params_t, err_handler);
SAME_PLACE(ucp_mem_map_params_t, address);
SAME_PLACE(ucp_mem_map_params_t, length);
SAME_PLACE(ucp_request_param_t, op_attr_mask);
SAME_PLACE(ucp_request_param_t, flags);
SAME_PLACE(ucp_request_param_t, cb);
SAME_PLACE(ucp_request_param_t, user_data);
SAME_VALUE(UCS_OK);
SAME_VALUE(UCS_INPROGRESS);
SAME_VALUE(UCS_ERR_BUSY);
SAME_VALUE(UCS_ERR_CANCELED);
SAME_VALUE(UCS_ERR_LAST);
SAME_VALUE(UCP_PARAM_FIELD_FEATURES);
SAME_VALUE(UCP_FEATURE_RMA);
SAME_VALUE(UCP_FEATURE_WAKEUP);
SAME_VALUE(UCP_WORKER_PARAM_FIELD_THREAD_MODE);
SAME_VALUE(UCS_THREAD_MODE_SERIALIZED);
SAME_VALUE(UCP_EP_PARAM_FIELD_REMOTE_ADDRESS);
SAME_VALUE(UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE);
SAME_VALUE(UCP_EP_PARAM_FIELD_ERR_HANDLER);
SAME_VALUE(UCP_ERR_HANDLING_MODE_PEER);
SAME_VALUE(UCP_MEM_MAP_PARAM_FIELD_ADDRESS);
SAME_VALUE(UCP_MEM_MAP_PARAM_FIELD_LENGTH);
SAME_VALUE(UCP_OP_ATTR_FIELD_CALLBACK);
SAME_VALUE(UCP_OP_ATTR_FIELD_USER_DATA);
SAME_VALUE(UCP_OP_ATTR_FIELD_FLAGS);
SAME_VALUE(UCP_OP_ATTR_FLAG_MULTI_SEND);
SAME_VALUE(UCP_EP_CLOSE_FLAG_FORCE);
static_assert(sizeof(abi::ucs_status_t) == sizeof(::ucs_status_t), "ucs_status_t");
#endif
