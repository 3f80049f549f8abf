#include "bare.hpp"

#include <chrono>
#include <fcntl.h>
#include <iostream>
#include <poll.h>
#include <sched.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "berth/support/fd.hpp"
#include "berth/support/files.hpp"
#include "berth/support/json.hpp"
#include "berth/support/mounts.hpp"
#include "berth/support/process.hpp"
#include "berth/support/status.hpp"
#include "peers.hpp"

namespace berth::bench {
namespace {

// Nothing here lasts that long unless it hangs.
constexpr std::chrono::seconds kPatience{60};

absl::Status awaitEnd(int pidfd, absl::string_view what) {
  pollfd awaited{pidfd, POLLIN, 0};
  const int patience = static_cast<int>(std::chrono::milliseconds(kPatience).count());
  if (::poll(&awaited, 1, patience) == 1) return absl::OkStatus();
  return absl::DeadlineExceededError(
      absl::StrCat(what, " has not ended within ", kPatience.count(), " seconds"));
}

// A new network namespace, kept by a mount at `path`. In a thread of its own, which ends with it.
absl::Status pinNewNetwork(const std::string& path) {
  BERTH_RETURN_IF_ERROR(support::replaceFile(path, "", 0600, support::Durability::kVisible));
  absl::Status status;
  std::thread([&] {
    if (::unshare(CLONE_NEWNET) != 0) {
      status = support::errnoStatus(errno, "make a network namespace");
    } else {
      status = support::bindMount("/proc/thread-self/ns/net", path);
    }
  }).join();
  return status;
}

}  // namespace

BarePrograms::BarePrograms(const Options& options, const Workspace& workspace)
    : options_(options),
      workspace_(workspace),
      directory_(workspace.directory() + "/bare"),
      state_(directory_ + "/state") {}

absl::StatusOr<std::unique_ptr<BarePrograms>> BarePrograms::create(const Options& options,
                                                                   Workspace& workspace,
                                                                   int index) {
  std::unique_ptr<BarePrograms> programs(new BarePrograms(options, workspace));
  BERTH_RETURN_IF_ERROR(workspace.makeStateFolder(programs->state_));
  const std::string conflist = cniConflist(workspace.bridgeName(), options.subnet, index,
                                           absl::StrCat(programs->directory_, "/ipam"));
  BERTH_ASSIGN_OR_RETURN(programs->conflist_, support::parseJsonObject(conflist, "the conflist"));
  BERTH_RETURN_IF_ERROR(programs->makeSpec());
  return programs;
}

absl::Status BarePrograms::makeSpec() {
  BERTH_RETURN_IF_ERROR(runProgram({options_.runc, "spec", "--bundle", directory_}).status());
  const std::string path = directory_ + "/config.json";
  BERTH_ASSIGN_OR_RETURN(const std::string text, support::readFile(path));
  BERTH_ASSIGN_OR_RETURN(spec_, support::parseJsonObject(text, path));
  boost::json::object& process = spec_["process"].as_object();
  process["terminal"] = false;
  process["args"] = boost::json::array{"/bin/sleep", "1000000"};
  spec_["root"] = {{"path", options_.rootfs}, {"readonly", true}};
  return absl::OkStatus();
}

BarePod::BarePod(const BarePrograms& programs, std::string id)
    : programs_(programs),
      id_(std::move(id)),
      directory_(absl::StrCat(programs.state_, "/", id_)),
      namespacePath_(directory_ + "/netns") {}

absl::StatusOr<std::unique_ptr<BarePod>> BarePod::prepare(BarePrograms& programs,
                                                          PodNetwork network) {
  std::unique_ptr<BarePod> pod(new BarePod(
      programs, absl::StrCat("bare-", programs.workspace_.tag(), "-", ++programs.pods_)));
  BERTH_RETURN_IF_ERROR(support::makeDirectories(pod->directory_));
  if (network == PodNetwork::kCni) {
    BERTH_RETURN_IF_ERROR(pinNewNetwork(pod->namespacePath_));
    pod->hasNamespace_ = true;
  }
  BERTH_RETURN_IF_ERROR(pod->writeBundle(network));
  return pod;
}

BarePod::~BarePod() {
  const absl::Status status = reset();
  if (!status.ok()) {
    std::cerr << "berth-bench: clean-up of the bare pod " << id_ << ": " << status.message()
              << "\n";
  }
}

absl::Status BarePod::writeBundle(PodNetwork network) {
  boost::json::object spec = programs_.spec_;
  boost::json::object& linuxPart = spec["linux"].as_object();
  linuxPart["cgroupsPath"] = absl::StrCat(programs_.workspace_.cgroupParent(), "/", id_);
  boost::json::array namespaces;
  for (const boost::json::value& entry : linuxPart["namespaces"].as_array()) {
    if (support::stringMember(entry.as_object(), "type") != "network") namespaces.push_back(entry);
  }
  if (network == PodNetwork::kCni) {
    namespaces.push_back({{"type", "network"}, {"path", namespacePath_}});
  }
  linuxPart["namespaces"] = namespaces;
  return support::replaceFile(directory_ + "/config.json", boost::json::serialize(spec), 0600,
                              support::Durability::kVisible);
}

absl::StatusOr<boost::json::value> BarePod::plugin(const boost::json::object& plugin,
                                                   const std::string& command,
                                                   const boost::json::value& previous) {
  boost::json::object config = plugin;
  config.erase("capabilities");
  config["cniVersion"] = programs_.conflist_.at("cniVersion");
  config["name"] = programs_.conflist_.at("name");
  if (!previous.is_null()) config["prevResult"] = previous;
  const std::string type = support::stringMember(plugin, "type");
  const std::string& folder = programs_.options_.cniBinDirectory;
  const char* path = ::getenv("PATH");
  const support::Command run{
      .argv = {absl::StrCat(folder, "/", type)},
      .environment =
          std::vector<std::string>{"CNI_COMMAND=" + command, "CNI_CONTAINERID=" + id_,
                                   "CNI_NETNS=" + namespacePath_, "CNI_IFNAME=eth0",
                                   "CNI_PATH=" + folder, absl::StrCat("PATH=", path ? path : "")},
      // Ctrl-C is for the bench.
      .newSession = true};
  BERTH_ASSIGN_OR_RETURN(const support::Output output,
                         support::run(run, boost::json::serialize(config),
                                      {.deadline = std::chrono::steady_clock::now() + kPatience}));
  if (output.exitCode != 0) {
    return absl::InternalError(absl::StrCat("CNI ", command, " of ", type, ": exit code ",
                                            output.exitCode, ": ", output.standardOutput,
                                            output.standardError));
  }
  if (command != "ADD") return boost::json::value();
  return support::parseJson(output.standardOutput, absl::StrCat("the result of ", type));
}

absl::Status BarePod::addNetwork() {
  result_ = nullptr;
  hasNetwork_ = true;
  for (const boost::json::value& entry : programs_.conflist_.at("plugins").as_array()) {
    BERTH_ASSIGN_OR_RETURN(result_, plugin(entry.as_object(), "ADD", result_));
  }
  return absl::OkStatus();
}

absl::Status BarePod::deleteNetwork() {
  support::StatusCollector problems;
  const boost::json::array& chain = programs_.conflist_.at("plugins").as_array();
  for (auto entry = chain.rbegin(); entry != chain.rend(); ++entry) {
    problems.add(plugin(entry->as_object(), "DEL", result_).status());
  }
  hasNetwork_ = false;
  return problems.status();
}

absl::Status BarePod::runc(const std::vector<std::string>& arguments) {
  const std::string what = absl::StrCat("runc ", absl::StrJoin(arguments, " "));
  // Not through pipes: the container's init would keep them open.
  const std::string log = directory_ + "/runc.log";
  std::vector<std::string> argv{programs_.options_.runc, "--root", programs_.state_ + "/runc",
                                "--log", log};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  // Ctrl-C is for the bench.
  BERTH_ASSIGN_OR_RETURN(support::Process process,
                         support::spawn({.argv = argv, .newSession = true}));
  BERTH_RETURN_IF_ERROR(awaitEnd(process.pidfd(), what));
  BERTH_ASSIGN_OR_RETURN(const int code, process.wait());
  if (code == 0) return absl::OkStatus();
  const auto text = support::readFile(log);
  return absl::InternalError(
      absl::StrCat(what, ": exit code ", code, ": ", text.ok() ? *text : ""));
}

absl::Status BarePod::createContainer() {
  hasContainer_ = true;
  return runc({"create", "--bundle", directory_, "--pid-file", directory_ + "/pid", id_});
}

absl::Status BarePod::startContainer() {
  return runc({"start", id_});
}

absl::Status BarePod::exec(const std::vector<std::string>& argv) {
  std::vector<std::string> arguments{"exec", id_};
  arguments.insert(arguments.end(), argv.begin(), argv.end());
  return runc(arguments);
}

absl::Status BarePod::kill() {
  BERTH_ASSIGN_OR_RETURN(const std::string text, support::readFile(directory_ + "/pid"));
  pid_t pid = 0;
  if (!absl::SimpleAtoi(text, &pid)) {
    return absl::InternalError(absl::StrCat("runc's pid file holds \"", text, "\""));
  }
  const support::Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd) return support::errnoStatus(errno, absl::StrCat("open the container's init ", pid));
  BERTH_RETURN_IF_ERROR(runc({"kill", id_, "KILL"}));
  return awaitEnd(pidfd.get(), "the container's init, after SIGKILL,");
}

absl::Status BarePod::deleteContainer() {
  BERTH_RETURN_IF_ERROR(runc({"delete", id_}));
  hasContainer_ = false;
  return absl::OkStatus();
}

absl::Status BarePod::reset() {
  support::StatusCollector problems;
  if (hasContainer_) problems.add(runc({"delete", "--force", id_}));
  hasContainer_ = false;
  if (hasNetwork_) problems.add(deleteNetwork());
  if (hasNamespace_) {
    problems.add(support::unmount(namespacePath_, support::UnmountMode::kNow));
  }
  hasNamespace_ = false;
  problems.add(support::removeTree(directory_));
  return problems.status();
}

}  // namespace berth::bench
