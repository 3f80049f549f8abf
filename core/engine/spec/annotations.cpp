#include "engine/spec/annotations.hpp"

#include <algorithm>
#include <fnmatch.h>

#include "berth/support/status.hpp"
#include "engine/spec/text.hpp"

namespace berth::spec {
namespace {

namespace bj = boost::json;

using Pairs = google::protobuf::Map<std::string, std::string>;

void containerd(bj::object& json, std::string_view key, const std::string& value) {
  json[support::strCat("io.kubernetes.cri.", key)] = bj::string(value);
}

void crio(bj::object& json, std::string_view key, const std::string& value) {
  json[support::strCat("io.kubernetes.cri-o.", key)] = bj::string(value);
}

std::string boolean(bool value) {
  return value ? "true" : "false";
}

void passThrough(const Pairs& annotations, const std::vector<std::string>& patterns,
                 bj::object& json) {
  const auto wanted = [&](const std::string& key) {
    return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
      return key.starts_with(pattern) || ::fnmatch(pattern.c_str(), key.c_str(), 0) == 0;
    });
  };
  for (const auto& [key, value] : sorted(annotations))
    if (wanted(key)) json[key] = bj::string(value);
}

void describePod(const runtime::v1::PodSandboxConfig& pod, const std::string& podId,
                 bj::object& json) {
  const runtime::v1::PodSandboxMetadata& metadata = pod.metadata();
  containerd(json, "sandbox-id", podId);
  containerd(json, "sandbox-namespace", metadata.namespace_());
  containerd(json, "sandbox-uid", metadata.uid());
  containerd(json, "sandbox-name", metadata.name());
  crio(json, "SandboxID", podId);
  crio(json, "Namespace", metadata.namespace_());
  crio(json, "KubeName", metadata.name());
}

void describeResources(const runtime::v1::LinuxContainerResources& resources, bj::object& json) {
  containerd(json, "sandbox-cpu-period", support::strCat(resources.cpu_period()));
  containerd(json, "sandbox-cpu-quota", support::strCat(resources.cpu_quota()));
  containerd(json, "sandbox-cpu-shares", support::strCat(resources.cpu_shares()));
  containerd(json, "sandbox-memory", support::strCat(resources.memory_limit_in_bytes()));
}

}  // namespace

bj::object containerAnnotations(const ContainerSpecInput& input) {
  bj::object json;
  // First, so that none of these can pass itself off as one of ours.
  for (const auto& [key, value] : input.defaults.defaultAnnotations) json[key] = value;
  passThrough(input.pod.annotations(), input.defaults.annotations, json);
  passThrough(input.config.annotations(), input.defaults.annotations, json);

  const std::string& name = input.config.metadata().name();
  describePod(input.pod, input.podId, json);
  containerd(json, "container-type", "container");
  containerd(json, "container-name", name);
  containerd(json, "image-name", input.imageName);
  crio(json, "ContainerType", "container");
  crio(json, "ContainerID", input.containerId);
  crio(json, "ContainerName", name);
  crio(json, "ImageName", input.imageName);
  crio(json, "LogPath", input.logPath);
  crio(json, "MountPoint", input.rootfsPath);
  crio(json, "ResolvPath", input.files.resolvConf);
  crio(json, "TTY", boolean(input.config.tty()));
  crio(json, "Stdin", boolean(input.config.stdin()));
  crio(json, "StdinOnce", boolean(input.config.stdin_once()));
  return json;
}

bj::object podAnnotations(const runtime::v1::PodSandboxConfig& pod, const std::string& podId,
                          const Defaults& defaults) {
  bj::object json;
  for (const auto& [key, value] : defaults.defaultAnnotations) json[key] = value;
  passThrough(pod.annotations(), defaults.annotations, json);
  describePod(pod, podId, json);
  containerd(json, "container-type", "sandbox");
  containerd(json, "sandbox-log-directory", pod.log_directory());
  if (pod.linux().has_resources()) describeResources(pod.linux().resources(), json);
  crio(json, "ContainerType", "sandbox");
  crio(json, "CgroupParent", pod.linux().cgroup_parent());
  return json;
}

}  // namespace berth::spec
