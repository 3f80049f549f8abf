#include "main/watchdog.hpp"

#include <grpcpp/grpcpp.h>

#include "berth/support/status.hpp"
#include "common/log.hpp"

namespace berth::program {

Watchdog::Watchdog(const common::ServiceManager& manager, const std::string& socket)
    : manager_(manager) {
  if (!manager.patience()) return;
  // A pause and a late answer together stay within the manager's patience.
  pause_ = *manager.patience() / 3;
  daemon_ = runtime::v1::RuntimeService::NewStub(
      grpc::CreateChannel(support::strCat("unix:", socket), grpc::InsecureChannelCredentials()));
}

void Watchdog::beat() {
  if (!pause_) return;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::duration_cast<std::chrono::microseconds>(*pause_));
  runtime::v1::ListPodSandboxRequest request;
  request.mutable_filter()->set_id("watchdog");
  runtime::v1::ListPodSandboxResponse response;
  const grpc::Status answer = daemon_->ListPodSandbox(&context, request, &response);
  if (!answer.ok()) {
    common::logError("the daemon does not answer its own watchdog; the service manager ends it",
                     {{"error", answer.error_message()}});
    return;
  }
  if (const absl::Status told = manager_.alive(); !told.ok())
    common::logWarning("the service manager's watchdog was not told",
                       {{"error", std::string(told.message())}});
}

}  // namespace berth::program
