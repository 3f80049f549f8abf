// Where in a trace the client of a call is.
#pragma once

#include <grpcpp/support/server_interceptor.h>

namespace berth::cri {

// For the builder of a server: its calls have their client's trace (common/trace_context.hpp) while
// somebody would hear of it.
class CallTraceFactory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override;
};

}  // namespace berth::cri
