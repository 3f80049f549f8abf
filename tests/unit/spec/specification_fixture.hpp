// Builds specifications of containers, of requests in protobuf's text format.
#pragma once

#include "cdi/registry.hpp"
#include "engine/spec/spec.hpp"
#include "fixture.hpp"
#include "hooks/registry.hpp"

namespace berth::spec {

struct Specification : testing::Test {
  Specification() {
    root.write("etc/passwd", "root:x:0:0::/:\nbob:x:1000:1000::/:\n");
    root.write("etc/group", "staff:x:50:bob\n");
    image.command = {"/bin/sh"};
  }

  absl::StatusOr<ContainerSpec> build(const std::string& container = "",
                                      const std::string& podText = "") {
    pod = test::parse<runtime::v1::PodSandboxConfig>(
        "metadata { name: 'pod' uid: 'u' namespace: 'ns' } hostname: 'web' " + podText);
    config = test::parse<runtime::v1::ContainerConfig>("metadata { name: 'c' } " + container);
    return buildContainerSpec({.pod = pod,
                               .config = config,
                               .image = image,
                               .host = host,
                               .defaults = defaults,
                               .features = features,
                               .podId = "pod-id",
                               .containerId = "container-id",
                               .imageName = "busybox:1",
                               .rootfsPath = root.path(),
                               .logPath = "/log",
                               .namespaces = namespaces,
                               .files = files,
                               .cgroupDriver = driver,
                               .isolation = isolation,
                               .podLabels = labels,
                               .cdi = &cdi,
                               .hooks = &hooks});
  }
  boost::json::value get(const std::string& pointer, const std::string& container = "",
                         const std::string& podText = "") {
    const auto made = build(container, podText);
    EXPECT_TRUE(made.ok()) << made.status();
    return made.ok() ? test::at(made->spec, pointer) : boost::json::value("failed");
  }
  static std::string secured(const std::string& context) {
    return "linux { security_context { " + context + " } }";
  }

  const test::TemporaryDirectory root;
  runtime::v1::PodSandboxConfig pod;
  runtime::v1::ContainerConfig config;
  common::ImageConfig image;
  common::HostFacts host = test::richHost();
  Defaults defaults;
  RuntimeFeatures features{.recursiveReadOnly = true, .userNamespaces = true};
  NamespacePaths namespaces{.network = "/n", .ipc = "/i", .uts = "/u", .pid = "/p", .user = "/us"};
  PodFiles files;
  CgroupDriver driver = CgroupDriver::kCgroupfs;
  Isolation isolation = Isolation::kNamespaces;
  SeLinuxLabels labels;
  const test::TemporaryDirectory folders;
  cdi::Registry cdi{{folders / "cdi"}};
  hooks::Registry hooks{{folders / "hooks"}};
};

}  // namespace berth::spec
