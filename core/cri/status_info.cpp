#include "cri/status_info.hpp"

#include <chrono>

#include <boost/json.hpp>

#include "berth/support/status.hpp"
#include "common/log.hpp"
#include "cri/plugin_list.hpp"

namespace berth::cri {

namespace bj = boost::json;

namespace {

// Runtimes answer from memory.
constexpr engine::Rounds::Times kCheckTimes{.patience = std::chrono::seconds(1)};

bj::object hostInfo(const engine::Engine& engine) {
  const common::HostFacts& host = engine.host();
  const bool unified = host.cgroupMode == common::CgroupMode::kUnified;
  const bool systemd = engine.settings().cgroupDriver == spec::CgroupDriver::kSystemd;
  return {{"cgroupDriver", systemd ? "systemd" : "cgroupfs"},
          {"cgroupVersion", unified ? 2 : 1},
          {"apparmor", host.appArmor},
          {"selinux", host.seLinux},
          {"seccomp", host.seccomp},
          {"userNamespaces", host.userNamespaces},
          {"idmappedMounts", host.idmappedMounts},
          {"swapAccounting", host.swapAccounting},
          {"capSysResource", host.hasSysResource()},
          {"kernel", support::strCat(host.kernel.major, ".", host.kernel.minor)}};
}

// By runtime: whether containers can be checkpointed, or why not.
bj::object checkpointsInfo(engine::Engine& engine) {
  std::vector<std::string> names;
  std::vector<std::shared_ptr<plugins::Runtime>> asked;
  for (const auto& [name, runtime] : engine.registry().runtimes()) {
    names.push_back(support::strCat("runtime ", name));
    asked.push_back(runtime);
  }
  const auto answers = engine.operations().rounds().ask<bool>(
      plugins::Operation("Status"), names,
      [asked](size_t i, const plugins::Operation& op) -> absl::StatusOr<bool> {
        BERTH_RETURN_IF_ERROR(asked[i]->checkCheckpoints(op));
        return true;
      },
      kCheckTimes);
  bj::object result;
  for (size_t i = 0; i < asked.size(); ++i) {
    result[asked[i]->name()] =
        answers[i].ok() ? "OK" : support::fromAbsl(answers[i].status().message());
  }
  return result;
}

bj::object runtimesInfo(const engine::Engine& engine) {
  bj::object runtimes;
  for (const auto& [name, runtime] : engine.registry().runtimes()) {
    runtimes[name] = runtime->features();
  }
  return runtimes;
}

bj::array operationsInfo() {
  bj::array operations;
  for (const plugins::RunningOperation& running : plugins::runningOperations()) {
    operations.push_back(bj::object{{"name", running.name},
                                    {"stage", running.stage},
                                    {"ageMs", running.age.count()},
                                    {"done", running.progress.done},
                                    {"total", running.progress.total}});
  }
  return operations;
}

bj::array problemsInfo() {
  bj::array lines;
  for (const std::string& line : common::problems().last) lines.push_back(bj::value(line));
  return lines;
}

}  // namespace

void addStatusInfo(engine::Engine& engine, const absl::Status& network,
                   google::protobuf::Map<std::string, std::string>& info) {
  info["plugins"] = bj::serialize(pluginList(
      engine.registry(), [&](const plugins::Instance& form) { return engine.podsOn(form); }));
  info["runtimes"] = bj::serialize(runtimesInfo(engine));
  info["operations"] = bj::serialize(operationsInfo());
  info["problems"] = bj::serialize(problemsInfo());
  info["host"] = bj::serialize(hostInfo(engine));
  info["checkpoints"] = bj::serialize(checkpointsInfo(engine));
  // Under the name that containerd has for it.
  info["lastCNILoadStatus"] =
      bj::serialize(bj::value(network.ok() ? "OK" : std::string(network.message())));
}

}  // namespace berth::cri
