#include "cri/call_meter.hpp"

#include <array>

namespace berth::cri {

namespace {

using grpc::experimental::InterceptionHookPoints;

// One for each call, which outlives the interceptor.
class CallMeter final : public grpc::experimental::Interceptor {
 public:
  CallMeter(const CallEnded& ended, const grpc::experimental::ServerRpcInfo& info)
      : ended_(ended), info_(info) {}

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      using Type = grpc::experimental::ServerRpcInfo::Type;
      ended_({.path = info_.method(),
              .code = codeName(methods->GetSendStatus().error_code()),
              .took = Clock::now() - begin_,
              .stream = info_.type() != Type::UNARY});
    }
    methods->Proceed();
  }

 private:
  using Clock = std::chrono::steady_clock;

  const CallEnded& ended_;
  const grpc::experimental::ServerRpcInfo& info_;
  const Clock::time_point begin_ = Clock::now();
};

}  // namespace

grpc::experimental::Interceptor* CallMeterFactory::CreateServerInterceptor(
    grpc::experimental::ServerRpcInfo* info) {
  return new CallMeter(ended_, *info);
}

std::string_view codeName(grpc::StatusCode code) {
  // grpc/status.h
  static constexpr std::array<std::string_view, 17> kNames{
      "OK",
      "CANCELLED",
      "UNKNOWN",
      "INVALID_ARGUMENT",
      "DEADLINE_EXCEEDED",
      "NOT_FOUND",
      "ALREADY_EXISTS",
      "PERMISSION_DENIED",
      "RESOURCE_EXHAUSTED",
      "FAILED_PRECONDITION",
      "ABORTED",
      "OUT_OF_RANGE",
      "UNIMPLEMENTED",
      "INTERNAL",
      "UNAVAILABLE",
      "DATA_LOSS",
      "UNAUTHENTICATED",
  };
  const auto index = static_cast<size_t>(code);
  return index < kNames.size() ? kNames[index] : kNames[grpc::StatusCode::UNKNOWN];
}

}  // namespace berth::cri
