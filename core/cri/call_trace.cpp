#include "cri/call_trace.hpp"

#include <optional>

#include "common/log.hpp"
#include "common/trace_context.hpp"

namespace berth::cri {

namespace {

using grpc::experimental::InterceptionHookPoints;

std::optional<common::TraceContext> callerOf(grpc::experimental::InterceptorBatchMethods& methods) {
  if (!common::isLogged(common::LogLevel::kDebug)) return std::nullopt;  // before all are read
  const auto* const headers = methods.GetRecvInitialMetadata();
  if (headers == nullptr) return std::nullopt;
  const auto found = headers->find("traceparent");
  if (found == headers->end()) return std::nullopt;
  return common::parseTraceParent({found->second.data(), found->second.size()});
}

// The calls' threads hear of their headers before they begin with the call itself; each call sets
// anew what the one before it has left.
class CallTrace final : public grpc::experimental::Interceptor {
 public:
  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_INITIAL_METADATA))
      common::setCallerTrace(callerOf(*methods));
    methods->Proceed();
  }
};

}  // namespace

grpc::experimental::Interceptor* CallTraceFactory::CreateServerInterceptor(
    grpc::experimental::ServerRpcInfo* /*info*/) {
  return new CallTrace;
}

}  // namespace berth::cri
