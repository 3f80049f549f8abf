// The CRI RuntimeService: each verb in a file of its own. What is not overridden answers
// UNIMPLEMENTED.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "cri-runtime-v1.grpc.pb.h"
#include "engine/engine.hpp"
#include "engine/readiness.hpp"
#include "streaming/server.hpp"

namespace berth::cri {

class RuntimeService final : public runtime::v1::RuntimeService::Service {
 public:
  // `configuration` is what runs, as JSON, for verbose status. What is referred to must outlive the
  // service.
  RuntimeService(engine::Engine& engine, engine::Readiness& readiness, streaming::Server& streaming,
                 std::string configuration)
      : engine_(engine),
        readiness_(readiness),
        streaming_(streaming),
        configuration_(std::move(configuration)) {}

#define BERTH_CRI_VERB(Verb)                                                                 \
  grpc::Status Verb(grpc::ServerContext* context, const runtime::v1::Verb##Request* request, \
                    runtime::v1::Verb##Response* response) override;
  BERTH_CRI_VERB(Version)
  BERTH_CRI_VERB(Status)
  BERTH_CRI_VERB(RuntimeConfig)
  BERTH_CRI_VERB(UpdateRuntimeConfig)
  BERTH_CRI_VERB(RunPodSandbox)
  BERTH_CRI_VERB(StopPodSandbox)
  BERTH_CRI_VERB(RemovePodSandbox)
  BERTH_CRI_VERB(PodSandboxStatus)
  BERTH_CRI_VERB(ListPodSandbox)
  BERTH_CRI_VERB(CreateContainer)
  BERTH_CRI_VERB(StartContainer)
  BERTH_CRI_VERB(StopContainer)
  BERTH_CRI_VERB(RemoveContainer)
  BERTH_CRI_VERB(ListContainers)
  BERTH_CRI_VERB(ContainerStatus)
  BERTH_CRI_VERB(UpdateContainerResources)
  BERTH_CRI_VERB(ReopenContainerLog)
  BERTH_CRI_VERB(ExecSync)
  BERTH_CRI_VERB(Exec)
  BERTH_CRI_VERB(Attach)
  BERTH_CRI_VERB(PortForward)
  BERTH_CRI_VERB(ContainerStats)
  BERTH_CRI_VERB(ListContainerStats)
  BERTH_CRI_VERB(PodSandboxStats)
  BERTH_CRI_VERB(ListPodSandboxStats)
  BERTH_CRI_VERB(ListMetricDescriptors)
  BERTH_CRI_VERB(ListPodSandboxMetrics)
  BERTH_CRI_VERB(UpdatePodSandboxResources)
  BERTH_CRI_VERB(CheckpointContainer)
  BERTH_CRI_VERB(CheckpointPod)
  BERTH_CRI_VERB(RestorePod)
#undef BERTH_CRI_VERB
  grpc::Status StreamPodSandboxMetrics(
      grpc::ServerContext* context, const runtime::v1::StreamPodSandboxMetricsRequest* request,
      grpc::ServerWriter<runtime::v1::StreamPodSandboxMetricsResponse>* writer) override;

#define BERTH_CRI_STREAM(Verb)                                                               \
  grpc::Status Verb(grpc::ServerContext* context, const runtime::v1::Verb##Request* request, \
                    grpc::ServerWriter<runtime::v1::Verb##Response>* writer) override;
  BERTH_CRI_STREAM(StreamPodSandboxes)
  BERTH_CRI_STREAM(StreamContainers)
  BERTH_CRI_STREAM(StreamContainerStats)
  BERTH_CRI_STREAM(StreamPodSandboxStats)
#undef BERTH_CRI_STREAM
  grpc::Status GetContainerEvents(
      grpc::ServerContext* context, const runtime::v1::GetEventsRequest* request,
      grpc::ServerWriter<runtime::v1::ContainerEventResponse>* writer) override;

 private:
  engine::Engine& engine_;
  engine::Readiness& readiness_;
  streaming::Server& streaming_;
  const std::string configuration_;
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
};

}  // namespace berth::cri
