// `berth ops`: what the running daemon is doing, and for how long.
#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "main/daemon_socket.hpp"
#include "main/daemon_status.hpp"
#include "main/options.hpp"
#include "main/print.hpp"

namespace berth::program {

namespace {

constexpr double kMillisecondsPerSecond = 1000;

// In percent where the whole is known.
std::string progressOf(const boost::json::object& operation) {
  const int64_t done = support::intMember(operation, "done");
  const int64_t total = support::intMember(operation, "total");
  if (total <= 0) return done > 0 ? std::to_string(done) : "-";
  return support::strCat(done * 100 / total, " %");
}

}  // namespace

int listOperations(const ConfigOptions& options) {
  const auto socket = findDaemon(options);
  if (!socket.ok()) return fail(socket.status());
  const auto list = askDaemon(*socket, "operations");
  if (!list.ok()) return fail(list.status());
  print("%10s  %8s  %-40s  %s\n", "AGE (S)", "PROGRESS", "STAGE", "OPERATION");
  for (const boost::json::value& value : *list) {
    const boost::json::object* operation = value.if_object();
    if (operation == nullptr) continue;
    const auto age = static_cast<double>(support::intMember(*operation, "ageMs"));
    print("%10.1f  %8s  %-40s  %s\n", age / kMillisecondsPerSecond, progressOf(*operation).c_str(),
          support::stringMember(*operation, "stage").c_str(),
          support::stringMember(*operation, "name").c_str());
  }
  return 0;
}

}  // namespace berth::program
