// `berth status`: how the running daemon does, in one page.
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/json.hpp>
#include <grpcpp/grpcpp.h>

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "cri-runtime-v1.grpc.pb.h"
#include "main/daemon_status.hpp"
#include "main/options.hpp"

namespace berth::program {

namespace v1 = runtime::v1;
using support::strCat;

namespace {

constexpr std::chrono::seconds kPatience{10};
constexpr size_t kShownProblems = 5;

class Daemon {
 public:
  explicit Daemon(const std::string& socket)
      : channel_(grpc::CreateChannel(strCat("unix:", socket), grpc::InsecureChannelCredentials())),
        runtime_(v1::RuntimeService::NewStub(channel_)),
        images_(v1::ImageService::NewStub(channel_)) {}

  // "2 ready, 1 not ready".
  absl::StatusOr<std::string> pods() {
    v1::ListPodSandboxResponse response;
    BERTH_RETURN_IF_ERROR(made("ListPodSandbox", [&](grpc::ClientContext& context) {
      return runtime_->ListPodSandbox(&context, {}, &response);
    }));
    std::map<std::string, int> counts;
    for (const v1::PodSandbox& pod : response.items())
      ++counts[pod.state() == v1::SANDBOX_READY ? "ready" : "not ready"];
    return inWords(counts);
  }

  absl::StatusOr<std::string> containers() {
    v1::ListContainersResponse response;
    BERTH_RETURN_IF_ERROR(made("ListContainers", [&](grpc::ClientContext& context) {
      return runtime_->ListContainers(&context, {}, &response);
    }));
    std::map<std::string, int> counts;
    for (const v1::Container& container : response.containers()) {
      const bool runs = container.state() == v1::CONTAINER_RUNNING;
      ++counts[runs                                         ? "running"
               : container.state() == v1::CONTAINER_CREATED ? "created"
                                                            : "exited"];
    }
    return inWords(counts);
  }

  absl::StatusOr<std::string> images() {
    v1::ListImagesResponse response;
    BERTH_RETURN_IF_ERROR(made("ListImages", [&](grpc::ClientContext& context) {
      return images_->ListImages(&context, {}, &response);
    }));
    return std::to_string(response.images_size());
  }

  // The conditions, each a line: "runtime: ready".
  absl::StatusOr<std::vector<std::string>> conditions() {
    v1::StatusResponse response;
    BERTH_RETURN_IF_ERROR(made("Status", [&](grpc::ClientContext& context) {
      return runtime_->Status(&context, {}, &response);
    }));
    std::vector<std::string> lines;
    for (const v1::RuntimeCondition& one : response.status().conditions())
      lines.push_back(one.status()
                          ? strCat(one.type(), ": yes")
                          : strCat(one.type(), ": NO, ", one.reason(), ": ", one.message()));
    return lines;
  }

 private:
  template <typename Call>
  static absl::Status made(std::string_view what, const Call& call) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    const grpc::Status status = call(context);
    if (status.ok()) return absl::OkStatus();
    return absl::UnavailableError(strCat(what, ": ", status.error_message()));
  }
  static std::string inWords(const std::map<std::string, int>& counts) {
    std::string text;
    for (const auto& [what, count] : counts)
      text += strCat(text.empty() ? "" : ", ", count, " ", what);
    return text.empty() ? "none" : text;
  }

  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::RuntimeService::Stub> runtime_;
  std::unique_ptr<v1::ImageService::Stub> images_;
};

void printPlugins(const boost::json::array& plugins) {
  std::printf("\nPlugins\n");
  for (const boost::json::value& value : plugins) {
    const boost::json::object* one = value.if_object();
    if (one == nullptr) continue;
    std::printf("  %-12s %-14s %-22s %s\n", support::stringMember(*one, "name").c_str(),
                support::stringMember(*one, "kind").c_str(),
                support::stringMember(*one, "plugin").c_str(),
                support::stringMember(*one, "state").c_str());
  }
}

void printOperations(const boost::json::array& operations) {
  std::printf("\nUnder way\n");
  bool any = false;
  for (const boost::json::value& value : operations) {
    const boost::json::object* one = value.if_object();
    // The question itself is one.
    if (one == nullptr || support::stringMember(*one, "name") == "Status") continue;
    any = true;
    std::printf(
        "  %8.1f s  %s (%s)\n", static_cast<double>(support::intMember(*one, "ageMs")) / 1000,
        support::stringMember(*one, "name").c_str(), support::stringMember(*one, "stage").c_str());
  }
  if (!any) std::printf("  nothing\n");
}

void printProblems(const boost::json::array& problems) {
  std::printf("\nLast warnings and errors\n");
  const size_t skipped = problems.size() > kShownProblems ? problems.size() - kShownProblems : 0;
  for (size_t index = skipped; index < problems.size(); ++index)
    if (const auto* line = problems[index].if_string())
      std::printf("  %.*s\n", static_cast<int>(line->size()), line->data());
  if (problems.empty()) std::printf("  none\n");
}

absl::Status show(const std::string& socket) {
  BERTH_ASSIGN_OR_RETURN(const auto plugins, askDaemon(socket, "plugins"));
  BERTH_ASSIGN_OR_RETURN(const auto operations, askDaemon(socket, "operations"));
  BERTH_ASSIGN_OR_RETURN(const auto problems, askDaemon(socket, "problems"));
  Daemon daemon(socket);
  BERTH_ASSIGN_OR_RETURN(const auto conditions, daemon.conditions());
  BERTH_ASSIGN_OR_RETURN(const std::string pods, daemon.pods());
  BERTH_ASSIGN_OR_RETURN(const std::string containers, daemon.containers());
  BERTH_ASSIGN_OR_RETURN(const std::string images, daemon.images());
  std::printf("Serving      %s\n", socket.c_str());
  for (const std::string& line : conditions) std::printf("             %s\n", line.c_str());
  std::printf("Pods         %s\nContainers   %s\nImages       %s\n", pods.c_str(),
              containers.c_str(), images.c_str());
  printPlugins(plugins);
  printOperations(operations);
  printProblems(problems);
  return absl::OkStatus();
}

}  // namespace

int status(const ConfigOptions& options) {
  auto loaded = config::load(pathsOf(options));
  if (!loaded.ok()) return fail(loaded.status());
  const absl::Status shown = show(loaded->grpc.socket);
  return shown.ok() ? 0 : fail(shown);
}

}  // namespace berth::program
