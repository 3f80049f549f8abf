// `berth status`: how the running daemon does, in one page.
#include <chrono>
#include <map>
#include <memory>
#include <string>

#include <boost/json.hpp>
#include <grpcpp/grpcpp.h>

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "cri-runtime-v1.grpc.pb.h"
#include "main/admin_client.hpp"
#include "main/daemon_channel.hpp"
#include "main/daemon_socket.hpp"
#include "main/daemon_status.hpp"
#include "main/options.hpp"
#include "main/print.hpp"
#include "main/size_text.hpp"

namespace berth::program {

namespace v1 = runtime::v1;
using support::strCat;

namespace {

constexpr std::chrono::seconds kPatience{10};
// A snapshotter may hang; the rest is told all the same.
constexpr std::chrono::seconds kPatienceForUsage{3};
constexpr size_t kShownProblems = 5;

std::string podWordOf(v1::PodSandboxState state) {
  return state == v1::SANDBOX_READY ? "ready" : "not ready";
}

// "2 ready, 1 not ready".
std::string inWords(const std::map<std::string, size_t>& counts) {
  std::string text;
  for (const auto& [what, count] : counts)
    text += strCat(text.empty() ? "" : ", ", count, " ", what);
  return text.empty() ? "none" : text;
}

// What the daemon has, by the lists that no number of things outgrows.
class Lists {
 public:
  explicit Lists(const std::string& socket)
      : socket_(socket),
        runtime_(v1::RuntimeService::NewStub(channelTo(socket))),
        images_(v1::ImageService::NewStub(channelTo(socket))) {}

  absl::StatusOr<std::string> pods() const {
    std::map<std::string, size_t> counts;
    v1::StreamPodSandboxesResponse part;
    BERTH_RETURN_IF_ERROR(readAll(
        [&](grpc::ClientContext& context) { return runtime_->StreamPodSandboxes(&context, {}); },
        part,
        [&] {
          for (const v1::PodSandbox& one : part.pod_sandboxes()) ++counts[podWordOf(one.state())];
        }));
    return inWords(counts);
  }

  absl::StatusOr<std::string> containers() const {
    std::map<std::string, size_t> counts;
    v1::StreamContainersResponse part;
    BERTH_RETURN_IF_ERROR(readAll(
        [&](grpc::ClientContext& context) { return runtime_->StreamContainers(&context, {}); },
        part,
        [&] {
          for (const v1::Container& one : part.containers()) ++counts[wordOf(one.state())];
        }));
    return inWords(counts);
  }

  absl::StatusOr<std::string> images() const {
    size_t count = 0;
    v1::StreamImagesResponse part;
    BERTH_RETURN_IF_ERROR(
        readAll([&](grpc::ClientContext& context) { return images_->StreamImages(&context, {}); },
                part, [&] { count += static_cast<size_t>(part.images_size()); }));
    return strCat(count, ", ", usage());
  }

 private:
  template <typename Begin, typename Part, typename Take>
  absl::Status readAll(const Begin& begin, Part& part, const Take& take) const {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    const auto reader = begin(context);
    while (reader->Read(&part)) take();
    return statusOf(reader->Finish(), socket_);
  }

  // "1.2 GiB in /var/lib/berth", for each snapshotter.
  std::string usage() const {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kPatienceForUsage);
    v1::ImageFsInfoResponse response;
    const absl::Status asked = statusOf(images_->ImageFsInfo(&context, {}, &response), socket_);
    if (!asked.ok())
      return strCat("their disk use is not known: ", support::fromAbsl(asked.message()));
    std::string text;
    for (const v1::FilesystemUsage& one : response.image_filesystems())
      text += strCat(text.empty() ? "" : ", ", sizeText(one.used_bytes().value()), " in ",
                     one.fs_id().mountpoint());
    return text;
  }

  const std::string socket_;
  const std::unique_ptr<v1::RuntimeService::Stub> runtime_;
  const std::unique_ptr<v1::ImageService::Stub> images_;
};

// "2 d 3 h", "4 min 5 s": the two largest units.
std::string timeText(std::chrono::seconds time) {
  constexpr std::pair<int64_t, const char*> kUnits[] = {
      {24 * 3600, " d"}, {3600, " h"}, {60, " min"}, {1, " s"}};
  int64_t left = time.count();
  std::string text;
  int units = 0;
  for (const auto& [seconds, name] : kUnits) {
    if (units == 2 || (left < seconds && units == 0 && seconds > 1)) continue;
    text += strCat(units == 0 ? "" : " ", left / seconds, name);
    left %= seconds;
    ++units;
  }
  return text;
}

std::string versionText(const boost::json::value& daemon) {
  const boost::json::object* one = daemon.if_object();
  if (one == nullptr) return "not known";
  const std::chrono::milliseconds served(support::intMember(*one, "servedMs"));
  return strCat(support::stringMember(*one, "version"), ", process ",
                support::intMember(*one, "pid"), ", for ",
                timeText(std::chrono::duration_cast<std::chrono::seconds>(served)));
}

std::string cgroupText(const boost::json::value& host) {
  const boost::json::object* one = host.if_object();
  if (one == nullptr) return "not known";
  return strCat("version ", support::intMember(*one, "cgroupVersion"), ", driver ",
                support::stringMember(*one, "cgroupDriver"));
}

void printConditions(const v1::StatusResponse& status) {
  for (const v1::RuntimeCondition& one : status.status().conditions()) {
    if (one.status())
      print("             %s: yes\n", one.type().c_str());
    else
      print("             %s: NO, %s: %s\n", one.type().c_str(), one.reason().c_str(),
            one.message().c_str());
  }
}

void printPlugins(const boost::json::array& plugins) {
  print("\nPlugins\n");
  for (const boost::json::value& value : plugins) {
    const boost::json::object* one = value.if_object();
    if (one == nullptr) continue;
    print("  %-12s %-14s %-22s %s\n", support::stringMember(*one, "name").c_str(),
          support::stringMember(*one, "kind").c_str(),
          support::stringMember(*one, "plugin").c_str(),
          support::stringMember(*one, "state").c_str());
    const std::string error = support::stringMember(*one, "error");
    if (!error.empty()) print("    %s\n", error.c_str());
  }
}

void printOperations(const boost::json::array& operations) {
  print("\nUnder way\n");
  bool any = false;
  for (const boost::json::value& value : operations) {
    const boost::json::object* one = value.if_object();
    // The question itself is one.
    if (one == nullptr || support::stringMember(*one, "name") == "Status") continue;
    any = true;
    print("  %8.1f s  %s (%s)\n", static_cast<double>(support::intMember(*one, "ageMs")) / 1000,
          support::stringMember(*one, "name").c_str(),
          support::stringMember(*one, "stage").c_str());
  }
  if (!any) print("  nothing\n");
}

void printPending(const berth::admin::v1::ConfigurationResponse& running) {
  print("\nWaits for the next start\n");
  for (const berth::admin::v1::Change& change : running.pending())
    print("  %s\n", changeText(change).c_str());
  if (running.pending().empty()) print("  nothing\n");
}

void printProblems(const boost::json::array& problems) {
  print("\nLast warnings and errors\n");
  const size_t skipped = problems.size() > kShownProblems ? problems.size() - kShownProblems : 0;
  for (size_t index = skipped; index < problems.size(); ++index)
    if (const auto* line = problems[index].if_string())
      print("  %.*s\n", static_cast<int>(line->size()), line->data());
  if (problems.empty()) print("  none\n");
}

absl::Status show(const std::string& socket) {
  BERTH_ASSIGN_OR_RETURN(const v1::StatusResponse status, askForStatus(socket));
  const auto daemon = infoOf(status, "daemon", socket).value_or(nullptr);
  const auto host = infoOf(status, "host", socket).value_or(nullptr);
  BERTH_ASSIGN_OR_RETURN(const auto plugins, listOf(status, "plugins", socket));
  BERTH_ASSIGN_OR_RETURN(const auto operations, listOf(status, "operations", socket));
  BERTH_ASSIGN_OR_RETURN(const auto problems, listOf(status, "problems", socket));
  BERTH_ASSIGN_OR_RETURN(const auto running, askForConfiguration(socket));
  const Lists lists(socket);
  BERTH_ASSIGN_OR_RETURN(const std::string pods, lists.pods());
  BERTH_ASSIGN_OR_RETURN(const std::string containers, lists.containers());
  BERTH_ASSIGN_OR_RETURN(const std::string images, lists.images());
  print("Serving      %s\n", socket.c_str());
  printConditions(status);
  print("Version      %s\n", versionText(daemon).c_str());
  print("Cgroups      %s\n", cgroupText(host).c_str());
  print("Pods         %s\nContainers   %s\nImages       %s\n", pods.c_str(), containers.c_str(),
        images.c_str());
  printPlugins(plugins);
  printOperations(operations);
  printPending(running);
  printProblems(problems);
  return absl::OkStatus();
}

}  // namespace

int status(const ConfigOptions& options) {
  const auto socket = findDaemon(options);
  if (!socket.ok()) return fail(socket.status());
  const absl::Status shown = show(*socket);
  return shown.ok() ? 0 : fail(shown);
}

}  // namespace berth::program
