// What CDI files and hooks add to a specification.
#include "engine/spec/injections.hpp"

#include "specification_fixture.hpp"

namespace berth::spec {
namespace {

namespace bj = boost::json;

using test::invalid;
using test::unmet;
using testing::Contains;
using testing::HasSubstr;

TEST_F(Specification, CdiDevicesOfTheFieldAndOfAnnotations) {
  folders.write("cdi/v.yaml",
                "cdiVersion: 0.7.0\nkind: vendor.com/gpu\ndevices:\n"
                "- name: a\n  containerEdits: {env: [A=1], additionalGids: [77],"
                " deviceNodes: [{path: /dev/gpu, hostPath: /dev/null}]}\n"
                "- name: b\n  containerEdits: {env: [A=2], mounts:"
                " [{hostPath: /lib, containerPath: /gpu, options: [ro, bind]}]}\n");
  const auto made = build(
      "CDI_devices { name: 'vendor.com/gpu=a' } "
      "annotations { key: 'cdi.k8s.io/x_y' value: 'vendor.com/gpu=b,vendor.com/gpu=a' } " +
      secured("run_as_user { value: 1000 }"));
  ASSERT_OK(made);
  EXPECT_THAT(test::texts(test::at(made->spec, "/process/env")), Contains("A=2"));
  EXPECT_EQ(test::at(made->spec, "/linux/devices/0"),
            test::json(R"({"path": "/dev/gpu", "type": "c", "major": 1, "minor": 3,
                           "fileMode": 438, "uid": 1000, "gid": 1000})"));
  EXPECT_EQ(test::at(made->spec, "/linux/resources/devices/1/major"), 1);
  EXPECT_THAT(bj::serialize(test::at(made->spec, "/mounts")), HasSubstr(R"("destination":"/gpu")"));
  EXPECT_THAT(made->user.supplemental_groups(), Contains(77));
  EXPECT_THAT(build("annotations { key: 'cdi.k8s.io/x' value: 'gpu' }"),
              invalid("annotation cdi.k8s.io/x"));
}

TEST_F(Specification, HooksSeeThePodAndTheContainer) {
  const auto hook = [](const char* argument, const char* when) {
    return std::string(R"({"version": "1.0.0", "hook": {"path": "/bin/true", "args": [")") +
           argument + R"("]}, "when": )" + when + R"(, "stages": ["createRuntime"]})";
  };
  folders.write("hooks/1.json", hook("pod", R"({"annotations": {"^where$": "^pod$"}})"));
  folders.write("hooks/2.json", hook("own", R"({"annotations": {"^own$": "."}})"));
  folders.write("hooks/3.json", hook("command", R"({"commands": ["^/bin/sh$"]})"));
  folders.write("hooks/4.json", hook("mounts", R"({"hasBindMounts": true})"));
  folders.write("cdi/v.yaml",
                "cdiVersion: 0.5.0\nkind: v.com/c\ndevices: [{name: d, containerEdits: {hooks:"
                " [{hookName: createRuntime, path: /bin/cdi}]}}]\n");
  EXPECT_EQ(get("/hooks"), test::json(R"({"createRuntime": [
      {"path": "/bin/true", "args": ["command"]}]})"));
  EXPECT_EQ(get("/hooks/createRuntime",
                "annotations { key: 'own' value: '1' } annotations { key: 'where' value: 'c' } "
                "CDI_devices { name: 'v.com/c=d' } "
                "mounts { container_path: '/x' host_path: '/proc/self' }",
                "annotations { key: 'where' value: 'pod' }"),
            test::json(R"([{"path": "/bin/cdi"},
                           {"path": "/bin/true", "args": ["pod"]},
                           {"path": "/bin/true", "args": ["own"]},
                           {"path": "/bin/true", "args": ["command"]},
                           {"path": "/bin/true", "args": ["mounts"]}])"));
  folders.write("hooks/5.json", "{}");
  EXPECT_THAT(build(), unmet("hooks/5.json is of no use"));
}

}  // namespace
}  // namespace berth::spec
