#include "bare.hpp"

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

BareCommands::BareCommands(const Options& options, Workspace& workspace)
    : options_(options), workspace_(workspace), directory_(workspace.directory() + "/bare") {}

absl::StatusOr<std::unique_ptr<BareCommands>> BareCommands::create(const Options& options,
                                                                   Workspace& workspace,
                                                                   int index) {
  std::unique_ptr<BareCommands> bare(new BareCommands(options, workspace));
  BERTH_RETURN_IF_ERROR(support::makeDirectories(bare->directory_ + "/bundle"));
  const std::string conflist = cniConflist(workspace.bridgeName(), options.subnet, index,
                                           absl::StrCat(bare->directory_, "/ipam"));
  BERTH_ASSIGN_OR_RETURN(bare->conflist_, support::parseJsonObject(conflist, "the conflist"));
  BERTH_RETURN_IF_ERROR(bare->writeBundle());
  return bare;
}

BareCommands::~BareCommands() {
  const absl::Status status = reset();
  if (!status.ok()) {
    std::cerr << "berth-bench: clean-up of the bare commands: " << status.message() << "\n";
  }
}

absl::Status BareCommands::writeBundle() {
  const std::string bundle = directory_ + "/bundle";
  // `runc spec` refuses to replace the file of an earlier suite.
  BERTH_RETURN_IF_ERROR(support::removePath(bundle + "/config.json"));
  BERTH_RETURN_IF_ERROR(runProgram({options_.runc, "spec", "--bundle", bundle}).status());
  BERTH_ASSIGN_OR_RETURN(const std::string text, support::readFile(bundle + "/config.json"));
  BERTH_ASSIGN_OR_RETURN(spec_, support::parseJsonObject(text, bundle + "/config.json"));
  boost::json::object& process = spec_["process"].as_object();
  process["terminal"] = false;
  process["args"] = boost::json::array{"/bin/sleep", "1000000"};
  spec_["root"] = {{"path", options_.rootfs}, {"readonly", true}};
  return absl::OkStatus();
}

absl::Status BareCommands::prepare(PodNetwork network) {
  id_ = absl::StrCat("bare-", workspace_.tag(), "-", ++pods_);
  boost::json::object spec = spec_;
  boost::json::object& linuxPart = spec["linux"].as_object();
  linuxPart["cgroupsPath"] = absl::StrCat(workspace_.cgroupParent(), "/", id_);
  boost::json::array namespaces;
  for (const boost::json::value& entry : linuxPart["namespaces"].as_array()) {
    if (support::stringMember(entry.as_object(), "type") != "network") namespaces.push_back(entry);
  }
  if (network == PodNetwork::kCni) {
    const std::string path = directory_ + "/netns";
    BERTH_RETURN_IF_ERROR(pinNewNetwork(path));
    hasNamespace_ = true;
    namespaces.push_back({{"type", "network"}, {"path", path}});
  }
  linuxPart["namespaces"] = namespaces;
  return support::replaceFile(directory_ + "/bundle/config.json", boost::json::serialize(spec),
                              0600, support::Durability::kVisible);
}

absl::StatusOr<boost::json::value> BareCommands::plugin(const boost::json::object& plugin,
                                                        const std::string& command,
                                                        const boost::json::value& previous) {
  boost::json::object config = plugin;
  config.erase("capabilities");
  config["cniVersion"] = conflist_["cniVersion"];
  config["name"] = conflist_["name"];
  if (!previous.is_null()) config["prevResult"] = previous;
  const std::string type = support::stringMember(plugin, "type");
  const char* path = ::getenv("PATH");
  const support::Command run{
      .argv = {absl::StrCat(options_.cniBinDirectory, "/", type)},
      .environment = std::vector<std::string>{
          "CNI_COMMAND=" + command, "CNI_CONTAINERID=" + id_, "CNI_NETNS=" + directory_ + "/netns",
          "CNI_IFNAME=eth0", "CNI_PATH=" + options_.cniBinDirectory,
          absl::StrCat("PATH=", path ? path : "")}};
  BERTH_ASSIGN_OR_RETURN(const support::Output output,
                         support::run(run, boost::json::serialize(config)));
  if (output.exitCode != 0) {
    return absl::InternalError(absl::StrCat("CNI ", command, " of ", type, ": exit code ",
                                            output.exitCode, ": ", output.standardOutput,
                                            output.standardError));
  }
  if (command != "ADD") return boost::json::value();
  return support::parseJson(output.standardOutput, absl::StrCat("the result of ", type));
}

absl::Status BareCommands::addNetwork() {
  result_ = nullptr;
  hasNetwork_ = true;
  for (const boost::json::value& entry : conflist_["plugins"].as_array()) {
    BERTH_ASSIGN_OR_RETURN(result_, plugin(entry.as_object(), "ADD", result_));
  }
  return absl::OkStatus();
}

absl::Status BareCommands::deleteNetwork() {
  support::StatusCollector problems;
  const boost::json::array& chain = conflist_["plugins"].as_array();
  for (auto entry = chain.rbegin(); entry != chain.rend(); ++entry) {
    problems.add(plugin(entry->as_object(), "DEL", result_).status());
  }
  hasNetwork_ = false;
  return problems.status();
}

absl::Status BareCommands::runc(std::vector<std::string> arguments) {
  // Not through pipes: the container's init would keep them open.
  const std::string log = directory_ + "/runc.log";
  std::vector<std::string> argv{options_.runc, "--root", directory_ + "/runc", "--log", log};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  BERTH_ASSIGN_OR_RETURN(support::Process process, support::spawn({.argv = argv}));
  BERTH_ASSIGN_OR_RETURN(const int code, process.wait());
  if (code == 0) return absl::OkStatus();
  const auto text = support::readFile(log);
  return absl::InternalError(absl::StrCat("runc ", absl::StrJoin(arguments, " "), ": exit code ",
                                          code, ": ", text.ok() ? *text : ""));
}

absl::Status BareCommands::createContainer() {
  hasContainer_ = true;
  return runc(
      {"create", "--bundle", directory_ + "/bundle", "--pid-file", directory_ + "/pid", id_});
}

absl::Status BareCommands::startContainer() {
  return runc({"start", id_});
}

absl::Status BareCommands::exec(const std::vector<std::string>& argv) {
  std::vector<std::string> arguments{"exec", id_};
  arguments.insert(arguments.end(), argv.begin(), argv.end());
  return runc(arguments);
}

absl::Status BareCommands::kill() {
  BERTH_ASSIGN_OR_RETURN(const std::string text, support::readFile(directory_ + "/pid"));
  pid_t pid = 0;
  if (!absl::SimpleAtoi(text, &pid)) {
    return absl::InternalError(absl::StrCat("runc's pid file holds \"", text, "\""));
  }
  const support::Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd) return support::errnoStatus(errno, absl::StrCat("open the container's init ", pid));
  BERTH_RETURN_IF_ERROR(runc({"kill", id_, "KILL"}));
  pollfd awaited{pidfd.get(), POLLIN, 0};
  if (::poll(&awaited, 1, 10000) == 1) return absl::OkStatus();
  return absl::DeadlineExceededError("the container's init still lives ten seconds after SIGKILL");
}

absl::Status BareCommands::deleteContainer() {
  BERTH_RETURN_IF_ERROR(runc({"delete", id_}));
  hasContainer_ = false;
  return absl::OkStatus();
}

absl::Status BareCommands::reset() {
  support::StatusCollector problems;
  if (hasContainer_) problems.add(runc({"delete", "--force", id_}));
  hasContainer_ = false;
  if (hasNetwork_) problems.add(deleteNetwork());
  if (hasNamespace_) {
    problems.add(support::unmount(directory_ + "/netns", support::UnmountMode::kNow));
  }
  hasNamespace_ = false;
  return problems.status();
}

}  // namespace berth::bench
