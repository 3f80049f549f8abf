#include "context.hpp"

#include <fcntl.h>

#include "berth/support/steps.hpp"
#include "files.hpp"
#include "streams.hpp"

namespace berth::runc::monitor {

void Context::logError(const Status& status) {
  const Fd file(
      support::steps::createat(runDir.get(), "monitor.log", O_WRONLY | O_APPEND | O_CLOEXEC, 0600));
  if (!file) return;
  char time[kTimeLength];
  formatTime(realtimeNs(), time);
  writeFully(file.get(), concat({{time, kTimeLength}, " ", status.message, "\n"}));
}

}  // namespace berth::runc::monitor
