// `berth ops`: what the running daemon is doing, and for how long.
#include <cstdio>

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "main/daemon_status.hpp"
#include "main/options.hpp"

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
  auto loaded = config::load(pathsOf(options));
  if (!loaded.ok()) return fail(loaded.status());
  const auto list = askDaemon(loaded->grpc.socket, "operations");
  if (!list.ok()) return fail(list.status());
  std::printf("%10s  %8s  %-40s  %s\n", "AGE (S)", "PROGRESS", "STAGE", "OPERATION");
  for (const boost::json::value& value : *list) {
    const boost::json::object* operation = value.if_object();
    if (operation == nullptr) continue;
    const auto age = static_cast<double>(support::intMember(*operation, "ageMs"));
    std::printf("%10.1f  %8s  %-40s  %s\n", age / kMillisecondsPerSecond,
                progressOf(*operation).c_str(), support::stringMember(*operation, "stage").c_str(),
                support::stringMember(*operation, "name").c_str());
  }
  return 0;
}

}  // namespace berth::program
