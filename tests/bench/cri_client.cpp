#include "cri_client.hpp"

#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>
#include <grpcpp/grpcpp.h>

#include "berth/support/status.hpp"
#include "interrupt.hpp"

namespace berth::bench {
namespace {

namespace cri = runtime::v1;

// Longer than any call should take: what ends here is a hang, and is reported as one.
constexpr std::chrono::minutes kCallLimit{5};
constexpr std::chrono::minutes kPullLimit{30};
constexpr char kRunLabel[] = "berth-bench-run";

// Where the interrupt can reach a call for as long as it lasts.
class WatchedContext {
 public:
  WatchedContext(Interrupt* interrupt, std::chrono::milliseconds limit) : interrupt_(interrupt) {
    context_.set_deadline(std::chrono::system_clock::now() + limit);
    if (interrupt_ != nullptr) interrupt_->watch(&context_);
  }
  ~WatchedContext() {
    if (interrupt_ != nullptr) interrupt_->forget(&context_);
  }
  WatchedContext(const WatchedContext&) = delete;
  WatchedContext& operator=(const WatchedContext&) = delete;
  grpc::ClientContext* get() { return &context_; }

 private:
  grpc::ClientContext context_;
  Interrupt* interrupt_;
};

template <typename Stub, typename Request, typename Reply>
using Method = grpc::Status (Stub::*)(grpc::ClientContext*, const Request&, Reply*);

template <typename Service, typename Stub, typename Request, typename Reply>
absl::StatusOr<Reply> call(absl::string_view name, const std::unique_ptr<Service>& stub,
                           Method<Stub, Request, Reply> method, const Request& request,
                           Interrupt* interrupt, std::chrono::milliseconds limit = kCallLimit) {
  WatchedContext context(interrupt, limit);
  Reply reply;
  const grpc::Status status = ((*stub).*method)(context.get(), request, &reply);
  if (!status.ok()) {
    return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                        absl::StrCat(name, ": ", status.error_message()));
  }
  return reply;
}

std::shared_ptr<grpc::Channel> makeChannel(const std::string& socket) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  // Channels to one address would otherwise share a connection, and its back-off after a restart.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(absl::StrCat("unix://", socket),
                                   grpc::InsecureChannelCredentials(), arguments);
}

cri::PodSandboxConfig podConfig(const PodSpec& spec) {
  cri::PodSandboxConfig config;
  auto* metadata = config.mutable_metadata();
  metadata->set_name(spec.name);
  metadata->set_uid(spec.name);
  metadata->set_namespace_("berth-bench");
  // A pod on the host's network has the host's name.
  if (spec.network == PodNetwork::kCni) config.set_hostname("bench");
  config.set_log_directory(spec.logDirectory);
  (*config.mutable_labels())[kRunLabel] = spec.run;
  auto* linuxConfig = config.mutable_linux();
  linuxConfig->set_cgroup_parent(spec.cgroupParent);
  auto* namespaces = linuxConfig->mutable_security_context()->mutable_namespace_options();
  namespaces->set_network(spec.network == PodNetwork::kHost ? cri::NamespaceMode::NODE
                                                            : cri::NamespaceMode::POD);
  namespaces->set_pid(cri::NamespaceMode::CONTAINER);
  return config;
}

cri::ContainerConfig containerConfig(const PodSpec& spec, const ContainerSpec& container) {
  cri::ContainerConfig config;
  config.mutable_metadata()->set_name(container.name);
  config.mutable_image()->set_image(spec.image);
  config.mutable_command()->Add(container.argv.begin(), container.argv.end());
  config.set_stdin(container.input);
  auto* mark = config.add_envs();
  mark->set_key(kRunLabel);
  mark->set_value("payload");
  config.set_log_path(absl::StrCat(container.name, ".log"));
  // Namespaces of the container follow the pod's, as the kubelet sends them.
  auto* options = config.mutable_linux()->mutable_security_context()->mutable_namespace_options();
  *options = podConfig(spec).linux().security_context().namespace_options();
  return config;
}

}  // namespace

CriClient::CriClient(const std::string& socket, Interrupt* interrupt)
    : channel_(makeChannel(socket)),
      runtime_(cri::RuntimeService::NewStub(channel_)),
      images_(cri::ImageService::NewStub(channel_)),
      interrupt_(interrupt) {}

absl::StatusOr<EngineVersion> CriClient::version(std::chrono::milliseconds limit) {
  cri::VersionRequest request;
  request.set_version("v1");
  BERTH_ASSIGN_OR_RETURN(
      const auto reply,
      call("Version", runtime_, &cri::RuntimeService::Stub::Version, request, interrupt_, limit));
  return EngineVersion{reply.runtime_name(), reply.runtime_version()};
}

absl::Status CriClient::ready() {
  BERTH_ASSIGN_OR_RETURN(const auto reply,
                         call("Status", runtime_, &cri::RuntimeService::Stub::Status,
                              cri::StatusRequest(), interrupt_));
  for (const auto& condition : reply.status().conditions()) {
    const bool needed = condition.type() == "RuntimeReady" || condition.type() == "NetworkReady";
    if (!needed || condition.status()) continue;
    return absl::FailedPreconditionError(absl::StrCat("Status: ", condition.type(),
                                                      " is false: ", condition.reason(), ": ",
                                                      condition.message()));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> CriClient::runPod(const PodSpec& spec) {
  cri::RunPodSandboxRequest request;
  *request.mutable_config() = podConfig(spec);
  request.set_runtime_handler(spec.handler);
  BERTH_ASSIGN_OR_RETURN(const auto reply,
                         call("RunPodSandbox", runtime_, &cri::RuntimeService::Stub::RunPodSandbox,
                              request, interrupt_));
  return reply.pod_sandbox_id();
}

absl::StatusOr<std::string> CriClient::createContainer(const PodSpec& spec, const std::string& pod,
                                                       const ContainerSpec& container) {
  cri::CreateContainerRequest request;
  request.set_pod_sandbox_id(pod);
  *request.mutable_config() = containerConfig(spec, container);
  *request.mutable_sandbox_config() = podConfig(spec);
  BERTH_ASSIGN_OR_RETURN(const auto reply,
                         call("CreateContainer", runtime_,
                              &cri::RuntimeService::Stub::CreateContainer, request, interrupt_));
  return reply.container_id();
}

absl::Status CriClient::startContainer(const std::string& container) {
  cri::StartContainerRequest request;
  request.set_container_id(container);
  return call("StartContainer", runtime_, &cri::RuntimeService::Stub::StartContainer, request,
              interrupt_)
      .status();
}

absl::Status CriClient::execSync(const std::string& container,
                                 const std::vector<std::string>& argv) {
  cri::ExecSyncRequest request;
  request.set_container_id(container);
  for (const std::string& argument : argv) request.add_cmd(argument);
  BERTH_ASSIGN_OR_RETURN(
      const auto reply,
      call("ExecSync", runtime_, &cri::RuntimeService::Stub::ExecSync, request, interrupt_));
  if (reply.exit_code() == 0) return absl::OkStatus();
  return absl::AbortedError(absl::StrCat("ExecSync of ", argv.front(), ": exit code ",
                                         reply.exit_code(), ": ", reply.stderr()));
}

absl::StatusOr<std::string> CriClient::execUrl(const std::string& container,
                                               const std::vector<std::string>& argv) {
  cri::ExecRequest request;
  request.set_container_id(container);
  request.mutable_cmd()->Add(argv.begin(), argv.end());
  request.set_stdout(true);
  BERTH_ASSIGN_OR_RETURN(const auto reply, call("Exec", runtime_, &cri::RuntimeService::Stub::Exec,
                                                request, interrupt_));
  return reply.url();
}

absl::StatusOr<std::string> CriClient::attachUrl(const std::string& container) {
  cri::AttachRequest request;
  request.set_container_id(container);
  request.set_stdin(true);
  request.set_stdout(true);
  BERTH_ASSIGN_OR_RETURN(
      const auto reply,
      call("Attach", runtime_, &cri::RuntimeService::Stub::Attach, request, interrupt_));
  return reply.url();
}

absl::Status CriClient::stopContainer(const std::string& container, std::chrono::seconds grace) {
  cri::StopContainerRequest request;
  request.set_container_id(container);
  request.set_timeout(grace.count());
  return call("StopContainer", runtime_, &cri::RuntimeService::Stub::StopContainer, request,
              interrupt_)
      .status();
}

absl::Status CriClient::removeContainer(const std::string& container) {
  cri::RemoveContainerRequest request;
  request.set_container_id(container);
  return call("RemoveContainer", runtime_, &cri::RuntimeService::Stub::RemoveContainer, request,
              interrupt_)
      .status();
}

absl::Status CriClient::stopPod(const std::string& pod) {
  cri::StopPodSandboxRequest request;
  request.set_pod_sandbox_id(pod);
  return call("StopPodSandbox", runtime_, &cri::RuntimeService::Stub::StopPodSandbox, request,
              interrupt_)
      .status();
}

absl::Status CriClient::removePod(const std::string& pod) {
  cri::RemovePodSandboxRequest request;
  request.set_pod_sandbox_id(pod);
  return call("RemovePodSandbox", runtime_, &cri::RuntimeService::Stub::RemovePodSandbox, request,
              interrupt_)
      .status();
}

absl::StatusOr<std::vector<std::string>> CriClient::listPods(const std::string& run) {
  cri::ListPodSandboxRequest request;
  if (!run.empty()) (*request.mutable_filter()->mutable_label_selector())[kRunLabel] = run;
  BERTH_ASSIGN_OR_RETURN(
      const auto reply, call("ListPodSandbox", runtime_, &cri::RuntimeService::Stub::ListPodSandbox,
                             request, interrupt_));
  std::vector<std::string> ids;
  for (const auto& pod : reply.items()) ids.push_back(pod.id());
  return ids;
}

absl::StatusOr<size_t> CriClient::countReadyPods(const std::string& run) {
  cri::ListPodSandboxRequest request;
  (*request.mutable_filter()->mutable_label_selector())[kRunLabel] = run;
  request.mutable_filter()->mutable_state()->set_state(cri::PodSandboxState::SANDBOX_READY);
  BERTH_ASSIGN_OR_RETURN(
      const auto reply, call("ListPodSandbox", runtime_, &cri::RuntimeService::Stub::ListPodSandbox,
                             request, interrupt_));
  return static_cast<size_t>(reply.items_size());
}

absl::StatusOr<size_t> CriClient::countContainers() {
  BERTH_ASSIGN_OR_RETURN(
      const auto reply, call("ListContainers", runtime_, &cri::RuntimeService::Stub::ListContainers,
                             cri::ListContainersRequest(), interrupt_));
  return static_cast<size_t>(reply.containers_size());
}

absl::StatusOr<size_t> CriClient::countContainerStats() {
  BERTH_ASSIGN_OR_RETURN(const auto reply, call("ListContainerStats", runtime_,
                                                &cri::RuntimeService::Stub::ListContainerStats,
                                                cri::ListContainerStatsRequest(), interrupt_));
  return static_cast<size_t>(reply.stats_size());
}

absl::StatusOr<size_t> CriClient::countPodStats() {
  BERTH_ASSIGN_OR_RETURN(const auto reply, call("ListPodSandboxStats", runtime_,
                                                &cri::RuntimeService::Stub::ListPodSandboxStats,
                                                cri::ListPodSandboxStatsRequest(), interrupt_));
  return static_cast<size_t>(reply.stats_size());
}

absl::Status CriClient::pullImage(const std::string& reference) {
  cri::PullImageRequest request;
  request.mutable_image()->set_image(reference);
  return support::annotate(call("PullImage", images_, &cri::ImageService::Stub::PullImage, request,
                                interrupt_, kPullLimit)
                               .status(),
                           reference);
}

absl::Status CriClient::removeImage(const std::string& reference) {
  cri::RemoveImageRequest request;
  request.mutable_image()->set_image(reference);
  return support::annotate(
      call("RemoveImage", images_, &cri::ImageService::Stub::RemoveImage, request, interrupt_)
          .status(),
      reference);
}

absl::StatusOr<std::optional<uint64_t>> CriClient::imageBytes(const std::string& reference) {
  cri::ImageStatusRequest request;
  request.mutable_image()->set_image(reference);
  BERTH_ASSIGN_OR_RETURN(
      const auto reply,
      call("ImageStatus", images_, &cri::ImageService::Stub::ImageStatus, request, interrupt_));
  if (!reply.has_image()) return std::nullopt;
  return reply.image().size();
}

absl::StatusOr<uint64_t> CriClient::imageFilesystemBytes() {
  BERTH_ASSIGN_OR_RETURN(const auto reply,
                         call("ImageFsInfo", images_, &cri::ImageService::Stub::ImageFsInfo,
                              cri::ImageFsInfoRequest(), interrupt_));
  uint64_t bytes = 0;
  for (const auto& filesystem : reply.image_filesystems()) bytes += filesystem.used_bytes().value();
  return bytes;
}

}  // namespace berth::bench
