#include "engine/spec/warnings.hpp"

namespace berth::spec {

void logWarnings(const Warnings& warnings, common::LogField about) {
  for (const Warning& warning : warnings) {
    common::log(warning.isOfDaemon ? common::LogLevel::kDebug : common::LogLevel::kWarning,
                warning.text, {about});
  }
}

}  // namespace berth::spec
