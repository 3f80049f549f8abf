// Hears of each call of the server: what it came to, and what it took.
#pragma once

#include <chrono>
#include <functional>
#include <string_view>

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/server_interceptor.h>

namespace berth::cri {

struct EndedCall {
  std::string_view path;  // "/runtime.v1.RuntimeService/Version"
  std::string_view code;  // "OK", "NOT_FOUND": as gRPC names it
  std::chrono::nanoseconds took;
  bool stream = false;  // either side may send any number of messages
};

// Called on the threads of the calls, at the same time.
using CallEnded = std::function<void(const EndedCall&)>;

// For the builder of a server, whose calls it measures from their arrival to their status.
class CallMeterFactory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit CallMeterFactory(CallEnded ended) : ended_(std::move(ended)) {}
  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override;

 private:
  const CallEnded ended_;
};

// "NOT_FOUND"; "UNKNOWN" for a number that is no code.
std::string_view codeName(grpc::StatusCode code);

}  // namespace berth::cri
