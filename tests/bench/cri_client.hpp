// The CRI calls that the benchmark times. Each blocks until the reply and may be called from
// several threads at once. Errors keep the engine's gRPC code and message, with the call's name
// put before.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "cri-runtime-v1.grpc.pb.h"

namespace berth::bench {

class Interrupt;

enum class PodNetwork { kCni, kHost };

// A pod whose containers sleep until they are killed, unless they are told otherwise.
struct PodSpec {
  std::string name;  // unique within the engine
  std::string run;   // the label that marks all pods of one run of the benchmark
  PodNetwork network = PodNetwork::kCni;
  std::string handler;       // empty for the engine's default
  std::string logDirectory;  // one for each pod
  std::string cgroupParent;
  std::string image;
};

// One of a pod's containers.
struct ContainerSpec {
  std::string name = "payload";
  std::vector<std::string> argv = {"/bin/sleep", "1000000"};
  bool input = false;  // keeps its stdin open
};

struct EngineVersion {
  std::string name;
  std::string version;
};

class CriClient {
 public:
  // Connects lazily. With an interrupt, raising it cancels the calls in flight; without one (for
  // clean-up) they only end by themselves or by their time limit.
  CriClient(const std::string& socket, Interrupt* interrupt);

  absl::StatusOr<EngineVersion> version(std::chrono::milliseconds limit);
  // OK once both RuntimeReady and NetworkReady hold; else FAILED_PRECONDITION with the reason.
  absl::Status ready();

  absl::StatusOr<std::string> runPod(const PodSpec& spec);
  absl::StatusOr<std::string> createContainer(const PodSpec& spec, const std::string& pod,
                                              const ContainerSpec& container = {});
  absl::Status startContainer(const std::string& container);
  // ABORTED when the command's exit code is not 0.
  absl::Status execSync(const std::string& container, const std::vector<std::string>& argv);
  // The URL at which the command runs, with stdout; that of the container's stdin and stdout.
  absl::StatusOr<std::string> execUrl(const std::string& container,
                                      const std::vector<std::string>& argv);
  absl::StatusOr<std::string> attachUrl(const std::string& container);
  absl::Status stopContainer(const std::string& container, std::chrono::seconds grace);
  absl::Status removeContainer(const std::string& container);
  absl::Status stopPod(const std::string& pod);
  absl::Status removePod(const std::string& pod);

  // The ids of the run's pods; all pods when `run` is empty.
  absl::StatusOr<std::vector<std::string>> listPods(const std::string& run);
  // How many entries each list has.
  absl::StatusOr<size_t> countReadyPods(const std::string& run);
  absl::StatusOr<size_t> countContainers();
  absl::StatusOr<size_t> countContainerStats();
  absl::StatusOr<size_t> countPodStats();

  absl::Status pullImage(const std::string& reference);
  // A missing image is success.
  absl::Status removeImage(const std::string& reference);
  // None when the engine does not have it.
  absl::StatusOr<std::optional<uint64_t>> imageBytes(const std::string& reference);
  // What ImageFsInfo says that images and their layers use.
  absl::StatusOr<uint64_t> imageFilesystemBytes();

 private:
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<runtime::v1::RuntimeService::Stub> runtime_;
  std::unique_ptr<runtime::v1::ImageService::Stub> images_;
  Interrupt* interrupt_;
};

}  // namespace berth::bench
