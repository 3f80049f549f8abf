#include "cdi/document.hpp"

#include "berth/support/status.hpp"
#include "fixture.hpp"

namespace berth::cdi {
namespace {

using support::strCat;
using test::invalid;
using ::testing::ElementsAre;
using ::testing::SizeIs;

absl::StatusOr<Document> parse(std::string_view text) {
  return parseDocument(text, "/etc/cdi/f.yaml");
}

TEST(CdiDocument, Everything) {
  const auto document = parse(R"(
cdiVersion: "1.1.0"
kind: vendor.com/gpu.x
annotations: {a: b}
containerEdits:
  env: [GLOBAL=1]
devices:
  - name: 0
    annotations: {c: d}
    containerEdits:
      env: ["A=1", "B="]
      deviceNodes:
        - path: /dev/gpu0
          hostPath: /dev/real
          type: c
          major: 195
          minor: 2
          fileMode: 0660
          permissions: rw
          uid: 5
          gid: 6
      netDevices: [{hostInterfaceName: eth7, name: rdma0}]
      hooks:
        - hookName: createContainer
          path: /bin/hook
          args: [hook, x]
          env: [H=1]
          timeout: 5
      mounts:
        - hostPath: /lib/gpu
          containerPath: /usr/lib/gpu
          options: [ro, bind]
          type: none
      intelRdt: {closID: c, l3CacheSchema: l3, memBwSchema: mb, schemata: [s], enableMonitoring: true}
      additionalGids: [7, 8]
)");
  ASSERT_TRUE(document.ok()) << document.status();
  EXPECT_EQ(document->kind, "vendor.com/gpu.x");
  EXPECT_THAT(document->edits.environment, ElementsAre("GLOBAL=1"));
  ASSERT_THAT(document->devices, SizeIs(1));
  EXPECT_EQ(document->devices[0].name, "0");
  const Edits& edits = document->devices[0].edits;
  EXPECT_THAT(edits.environment, ElementsAre("A=1", "B="));
  ASSERT_THAT(edits.deviceNodes, SizeIs(1));
  EXPECT_EQ(edits.deviceNodes[0].hostPath, "/dev/real");
  EXPECT_EQ(edits.deviceNodes[0].fileMode, 0660u);
  EXPECT_EQ(edits.deviceNodes[0].major, 195);
  EXPECT_EQ(edits.deviceNodes[0].gid, 6u);
  EXPECT_EQ(edits.netDevices.at(0).name, "rdma0");
  EXPECT_EQ(edits.hooks.at(0).timeout, 5);
  EXPECT_EQ(edits.mounts.at(0).type, "none");
  EXPECT_EQ(edits.intelRdt->closId, "c");
  EXPECT_TRUE(edits.intelRdt->enableMonitoring);
  EXPECT_THAT(edits.additionalGids, ElementsAre(7, 8));
}

TEST(CdiDocument, JsonIsYaml) {
  const auto document = parse(
      R"({"cdiVersion": "0.3.0", "kind": "v.com/c", "devices": [
          {"name": "d", "containerEdits": {"env": ["A=1"]}}]})");
  EXPECT_TRUE(document.ok()) << document.status();
}

// A file with these edits of its one device, the version, and members at the top.
std::string with(const std::string& edits, const std::string& version = "1.1.0",
                 const std::string& more = "") {
  return strCat("cdiVersion: ", version, "\nkind: v.com/c\n", more,
                "\ndevices: [{name: d, containerEdits: {", edits, "}}]\n");
}

TEST(CdiDocument, ErrorsNameTheMember) {
  const std::pair<std::string, const char*> cases[] = {
      {"[]", "/etc/cdi/f.yaml: the document must be an object"},
      {"cdiVersion: 0.5.0", "kind is missing"},
      {"kind: v.com/c", "cdiVersion is missing"},
      {"cdiVersion: 0.5.0\nkind: v.com", "kind is wrong"},
      {"cdiVersion: 0.5.0\nkind: v.com/c", "devices is missing or empty"},
      {"cdiVersion: 9.0.0\nkind: v.com/c\ndevices: [{name: d, containerEdits: {env: [A=1]}}]",
       "cdiVersion \"9.0.0\" is not supported: versions 0.3.0 to 1.1.0 are"},
      {with("env: [A=1]", "0.5.0", "colour: red"), "colour is unknown"},
      {with(""), "devices[0].containerEdits is missing or changes nothing"},
      {with("env: [novalue]"), "devices[0].containerEdits.env has \"novalue\""},
      {with("env: A=1"), "env must be an array of strings"},
      {with("deviceNodes: [{type: c}]"), "deviceNodes[0].path is missing"},
      {with("deviceNodes: [{path: dev/x}]"), "path must be absolute"},
      {with("deviceNodes: [{path: /dev/x, type: x}]"), "type must be b, c, u or p"},
      {with("deviceNodes: [{path: /dev/x, permissions: rx}]"), "permissions must be made of"},
      {with("deviceNodes: [{path: /dev/x, fileMode: -1}]"), "fileMode must be a whole number"},
      {with("deviceNodes: [{path: /dev/x, colour: red}]"), "deviceNodes[0].colour is unknown"},
      {with("deviceNodes: [7]"), "deviceNodes[0] must be an object"},
      {with("mounts: [{hostPath: /a}]"), "containerPath is missing"},
      {with("mounts: [{hostPath: /a, containerPath: b}]"), "containerPath must be absolute"},
      {with("hooks: [{hookName: never, path: /x}]"), "hookName \"never\" is no hook"},
      {with("hooks: [{hookName: prestart}]"), "path is missing"},
      {with("hooks: [{hookName: prestart, path: /x, timeout: 0}]"), "timeout must be more than 0"},
      {with("intelRdt: {closID: a/b}"), "closID \"a/b\" is not the name of a file"},
      {with("additionalGids: [-1]"), "additionalGids must be an array of whole numbers"},
      {with("netDevices: [{name: a}]"), "hostInterfaceName is missing"},
      {with("netDevices: [{hostInterfaceName: a, name: x}, {hostInterfaceName: b, name: x}]"),
       "names b or x twice"}};
  for (const auto& [text, message] : cases) EXPECT_THAT(parse(text), invalid(message)) << text;
  EXPECT_THAT(parse("cdiVersion: 0.5.0\nkind: v.com/c\ndevices:\n"
                    "- {name: d, containerEdits: {env: [A=1]}}\n"
                    "- {name: d, containerEdits: {env: [A=2]}}\n"),
              invalid("devices[1].name \"d\" is given to two devices"));
}

TEST(CdiDocument, VersionsHaveWhatTheyHave) {
  const auto check = [](const char* edits, const char* before, const char* from,
                        const char* more = "") {
    EXPECT_THAT(parse(with(edits, before, more)), invalid(strCat("needs at least ", from)))
        << edits;
    const auto fits = parse(with(edits, from, more));
    EXPECT_TRUE(fits.ok()) << fits.status();
  };
  check("mounts: [{hostPath: /a, containerPath: /b, type: none}]", "0.3.0", "0.4.0");
  check("deviceNodes: [{path: /dev/x, hostPath: /dev/y}]", "0.4.0", "0.5.0");
  check("env: [A=1]", "0.5.0", "0.6.0", "annotations: {a: b}");
  check("intelRdt: {closID: a}", "0.6.0", "0.7.0");
  check("additionalGids: [1]", "0.6.0", "0.7.0");
  check("intelRdt: {schemata: [a]}", "1.0.0", "1.1.0");
  check("netDevices: [{hostInterfaceName: a, name: b}]", "0.8.0", "1.1.0");
  EXPECT_TRUE(parse(with("env: [A=1]", "v0.3.0")).ok());
  EXPECT_THAT(parse(with("env: [A=1]", "0.2.0")), invalid("not supported"));
}

}  // namespace
}  // namespace berth::cdi
