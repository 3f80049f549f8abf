// `berth check`: what this host offers and lacks. `berth config check`: what is wrong with the
// configuration, also where a start would go on without a runtime: whoever changes it is to know.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <unistd.h>

#include "berth/support/status.hpp"
#include "main/admin_client.hpp"
#include "main/daemon_socket.hpp"
#include "main/examination.hpp"
#include "main/options.hpp"
#include "main/print.hpp"
#include "main/stage_limit.hpp"

namespace berth::program {

namespace {

const char* markOf(berth_finding_kind kind) {
  switch (kind) {
    case BERTH_FINDING_OK:
      return "ok";
    case BERTH_FINDING_LIMITED:
      return "without";
    default:
      return "MISSING";
  }
}

// Lines after the first stand below it.
void printFinding(const plugins::Finding& row) {
  std::string detail = row.detail;
  for (size_t at = 0; (at = detail.find('\n', at)) != std::string::npos; ++at)
    detail.replace(at, 1, "\n" + std::string(32, ' '));
  print("%-8s %-22s %s\n", markOf(row.kind), row.what.c_str(), detail.c_str());
}

// A plugin that hangs cannot be waited for.
void giveUp(const std::string& stage) {
  printError("waited in vain for %s\n", stage.c_str());
  ::_exit(kInvalidConfiguration);
}

// What the daemon, if there is one, has met and could not read.
void addSetAside(const ConfigOptions& options, std::vector<plugins::Finding>& rows) {
  const auto socket = findDaemon(options);
  if (!socket.ok()) return;
  berth::admin::v1::CheckStorageRequest request;
  request.set_depth(berth::admin::v1::STORAGE_SET_ASIDE);
  // Nobody answers: then nobody knows.
  askToCheckStorage(*socket, request, [&rows](const berth::admin::v1::StorageFinding& finding) {
    rows.push_back({BERTH_FINDING_LIMITED, "storage",
                    support::strCat(finding.what(), ": ", finding.detail())});
  }).IgnoreError();
}

}  // namespace

int check(const ConfigOptions& options) {
  auto loaded = config::load(pathsOf(options));
  if (!loaded.ok()) return fail(loaded.status());
  auto host = common::collectHostFacts();
  if (!host.ok()) return fail(host.status());
  std::vector<plugins::Finding> rows = examineHost(*loaded, *host);
  for (plugins::Finding& row : examineNode()) rows.push_back(std::move(row));
  for (plugins::Finding& row : examineConfiguration(*loaded, *host)) rows.push_back(std::move(row));
  addSetAside(options, rows);
  bool missing = false;
  bool limited = false;
  for (plugins::Finding& row : rows) {
    if (row.spared && row.kind == BERTH_FINDING_REFUSED) {
      row.kind = BERTH_FINDING_LIMITED;
      row.detail += "; the daemon starts without this runtime";
    }
    printFinding(row);
    missing = missing || row.kind == BERTH_FINDING_REFUSED;
    limited = limited || row.kind == BERTH_FINDING_LIMITED;
  }
  print("%s\n", missing   ? "This host cannot run Berth yet: see the lines marked MISSING."
                : limited ? "This host can run Berth, without what the lines marked so name."
                          : "This host can run Berth.");
  return missing ? 1 : 0;
}

int configCheck(const ConfigOptions& options, const ConfigCheckOptions& wanted) {
  auto loaded = config::load(pathsOf(options));
  if (!loaded.ok()) return fail(loaded.status());
  auto host = common::collectHostFacts();
  if (!host.ok()) return fail(host.status());
  using std::chrono::duration_cast, std::chrono::milliseconds;
  using Clock = std::chrono::steady_clock;
  const auto begun = Clock::now();
  StageLimit limit(giveUp);
  const auto before = [&](const std::string& next) {
    if (wanted.verbose) print("%s\n", next.c_str());
    std::fflush(stdout);
    milliseconds time = kStartTime;
    if (wanted.limit) {
      const std::chrono::duration<double> left = begun - Clock::now() + *wanted.limit;
      time = std::min(time, duration_cast<milliseconds>(left));
    }
    limit.begin(next, time);
  };
  bool valid = true;
  for (const plugins::Finding& row : examineConfiguration(*loaded, *host, before)) {
    if (row.kind != BERTH_FINDING_REFUSED) continue;
    printError("%s\n", row.detail.c_str());
    valid = false;
  }
  if (!valid) return kInvalidConfiguration;
  print("%s\n", kValidConfiguration.data());
  return 0;
}

}  // namespace berth::program
