// Tells the service manager that the daemon serves, as long as it does.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "common/service_manager.hpp"
#include "cri-runtime-v1.grpc.pb.h"

namespace berth::program {

class Watchdog {
 public:
  // Asks on `socket`, as the kubelet does; makes nothing when nobody watches. `manager` must
  // outlive it.
  Watchdog(const common::ServiceManager& manager, const std::string& socket);

  // How long to wait between two beats; nothing: for ever, nobody watches.
  std::optional<std::chrono::nanoseconds> pause() const { return pause_; }

  // Has the daemon list its pods by one id, and passes the answer on. Without an answer the manager
  // hears nothing and will end the daemon once its patience is over; the log says why. Blocks, for
  // a pause at most.
  void beat();

 private:
  const common::ServiceManager& manager_;
  std::optional<std::chrono::nanoseconds> pause_;
  std::unique_ptr<runtime::v1::RuntimeService::Stub> daemon_;
};

}  // namespace berth::program
