// berth-monitor: holds one pod's namespaces, runs its containers through the OCI runtime, and
// keeps their streams, logs and exits while the daemon comes and goes.
#include <string_view>
#include <unistd.h>

#include "../protocol/wire.hpp"
#include "commands.hpp"
#include "files.hpp"

namespace {

using berth::runc::monitor::concat;
using berth::runc::monitor::Number;
using berth::runc::monitor::writeFully;

int version() {
  using namespace berth::runc::protocol;
  writeFully(STDOUT_FILENO, concat({"berth-monitor ", BERTH_VERSION, "\nprotocol ",
                                    Number(kOldestVersion), " to ", Number(kVersion), "\n"}));
  return 0;
}

int usage() {
  writeFully(STDERR_FILENO,
             "usage: berth-monitor version\n"
             "       berth-monitor inspect RUN_FOLDER   show what a pod's monitor holds\n"
             "       berth-monitor start [RUN_FOLDER]   for berthd: request on stdin\n");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view command = argc > 1 ? argv[1] : "";
  if (command == "start" && argc <= 3) return berth::runc::monitor::startCommand();
  if (command == "inspect" && argc == 3) return berth::runc::monitor::inspectCommand(argv[2]);
  if ((command == "version" || command == "--version") && argc == 2) return version();
  return usage();
}
