// The daemon's metrics: what is counted, what is read, and where it is served.
#pragma once

#include <memory>

#include <absl/status/statusor.h>

#include "config/config.hpp"
#include "cri/call_meter.hpp"
#include "engine/engine.hpp"
#include "images/image_service.hpp"
#include "telemetry/telemetry.hpp"

namespace berth::program {

// The one of this process, which hears of all operations and calls from now on, until its end.
telemetry::Telemetry& startTelemetry(const config::Metrics& settings);

// Serves metrics for as long as it lives, unless the telemetry counts nothing.
class ServedMetrics {
 public:
  // UNAVAILABLE when the address cannot be listened on. All must outlive the result.
  static absl::StatusOr<std::unique_ptr<ServedMetrics>> start(const config::Metrics& settings,
                                                              telemetry::Telemetry& telemetry,
                                                              const engine::Engine& engine,
                                                              const images::ImageService& images);
  ~ServedMetrics();
  ServedMetrics(const ServedMetrics&) = delete;
  ServedMetrics& operator=(const ServedMetrics&) = delete;

 private:
  explicit ServedMetrics(telemetry::Metrics* metrics) : metrics_(metrics) {}
  telemetry::Metrics* const metrics_;  // null: none
};

// Counts each call of the gRPC server; empty when nothing is counted.
cri::CallEnded callCounter(telemetry::Telemetry& telemetry);

}  // namespace berth::program
