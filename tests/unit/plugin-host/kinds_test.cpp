// A good plugin of each kind: what goes in and what comes out. Plugins of today, of ABI 1.0 with
// the headers of then (tests/fixtures/abi-1.0), and of a later version whose structs have grown.
#include <algorithm>
#include <fstream>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test_host.hpp"
#include "test_paths.hpp"

namespace berth::plugins {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using testing::TestHost;

// What the names of their files begin with, and whether each is in a process of its own.
struct Age {
  const char* prefix;
  bool isolated;
};
void PrintTo(const Age& age, std::ostream* out) {
  *out << '"' << age.prefix << '"' << (age.isolated ? ", isolated" : "");
}

class KindsTest : public ::testing::TestWithParam<Age> {
 protected:
  TestHost host_;
  Registry registry_{{test_paths::plugins}, host_.services()};
  Operation op_{"test"};

  void SetUp() override {
    std::vector<Wanted> wanted = {
        {Kind::kRuntime, "run", plugin("runtime"), {}},
        {Kind::kSnapshotter, "snap", plugin("snapshotter"), {}},
        {Kind::kNetwork, "net", plugin("network"), {}},
        {Kind::kImageSource, "files", plugin("source"), {{"directory", host_.directory().path()}}}};
    for (Wanted& one : wanted) {
      one.isolation.process = GetParam().isolated;
      one.isolation.program = test_paths::pluginHost;
    }
    const absl::Status loaded = registry_.load(wanted);
    ASSERT_TRUE(loaded.ok()) << loaded;
    const absl::Status started = registry_.start();
    ASSERT_TRUE(started.ok()) << started;
  }
  static std::string plugin(const char* kind) { return support::strCat(GetParam().prefix, kind); }
  void write(const std::string& name, const std::string& text) {
    std::ofstream(host_.directory() / name) << text;
  }
};

TEST_P(KindsTest, RuntimeAnswers) {
  Runtime& runtime = **registry_.runtime("run");
  EXPECT_EQ(runtime.features().at("ociVersion"), "1.0.2");

  PodSpec spec;
  spec.id = "pod-1";
  spec.hostname = "web";
  spec.sysctls = {{"net.core.somaxconn", "1024"}};
  spec.defaultAnnotations = {{"example.org/a", "b"}};
  const auto pod = runtime.createPod(op_, spec);
  ASSERT_TRUE(pod.ok()) << pod.status();
  EXPECT_EQ(pod->namespaces.at(BERTH_NAMESPACE_NETWORK), "/run/ns/pod-1");
  EXPECT_EQ(pod->state, "web");
  EXPECT_THAT(host_.log(), Contains("run: sysctl key=net.core.somaxconn value=1024"));
  // The others have sources of 1.0, which do not know of them.
  if (const std::string_view prefix = GetParam().prefix; prefix.empty() || prefix == "later-") {
    EXPECT_THAT(host_.log(), Contains("run: default key=example.org/a value=b"));
  }

  const auto started = runtime.startContainer(op_, "pod-1", "container-1");
  ASSERT_TRUE(started.ok()) << started.status();
  EXPECT_EQ(started->id, "container-1");
  EXPECT_EQ(started->state, BERTH_CONTAINER_RUNNING);
  EXPECT_EQ(started->pid, 4711);

  const auto recovered = runtime.recoverPod(op_, "pod-1", "/run/berth", "container-9");
  ASSERT_TRUE(recovered.status.ok()) << recovered.status;
  ASSERT_EQ(recovered.containers.size(), 1u);
  EXPECT_EQ(recovered.containers.front().id, "container-9");
  EXPECT_TRUE(recovered.containers.front().oomKilled);
  EXPECT_EQ(recovered.containers.front().exitCode, 137);
  EXPECT_EQ(recovered.containers.front().message, "there was no memory");

  const auto gone = runtime.recoverPod(op_, "gone", "/run/berth", "container-9");
  EXPECT_EQ(gone.status.code(), absl::StatusCode::kNotFound);
  ASSERT_EQ(gone.containers.size(), 1u) << "exits that were kept are not lost with the pod";
  EXPECT_EQ(gone.containers.front().exitCode, 137);

  EXPECT_EQ(*runtime.waitExec(op_, "pod-1", "container-1", "exec-1"), 3);
  const absl::Status removed = runtime.removePod(op_, "pod-1");
  EXPECT_EQ(removed.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(removed.message(), "remove pod pod-1: it is busy");
}

TEST_P(KindsTest, RuntimeExtensions) {
  Runtime& runtime = **registry_.runtime("run");
  const absl::Status updated = runtime.updatePodResources(op_, "pod-1", "{1}", "{2}");
  EXPECT_EQ(updated.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(updated.message(), "pod-1: {1} and {2}");

  EXPECT_TRUE(runtime.forwardsPorts());
  const auto socket = runtime.connectPort(op_, "pod-1", 8080);
  ASSERT_TRUE(socket.ok()) << socket.status();
  uint16_t port = 0;
  EXPECT_EQ(::read(socket->get(), &port, sizeof port), static_cast<ssize_t>(sizeof port));
  EXPECT_EQ(port, 8080);
}

TEST_P(KindsTest, StatsKeepTheirNamesAndALaterMinorsInterfaces) {
  Runtime& runtime = **registry_.runtime("run");
  const auto stats = runtime.containerStats(op_, "pod-1", {"a", "b"}, 0);
  ASSERT_TRUE(stats.ok()) << stats.status();
  ASSERT_EQ(stats->size(), 2u);
  EXPECT_EQ((*stats)[1].id, "b");
  EXPECT_EQ((*stats)[1].raw.cpu_usage, 17u);

  const auto pod = runtime.podStats(op_, "pod-1", 0);
  ASSERT_TRUE(pod.ok()) << pod.status();
  ASSERT_EQ(pod->size(), 1u);
  const auto& interfaces = pod->front().interfaces;
  ASSERT_EQ(interfaces.size(), 2u);
  EXPECT_EQ(interfaces[0].name, "eth0");
  EXPECT_EQ(interfaces[0].raw.rx_bytes, 1u);
  EXPECT_EQ(interfaces[1].name, "eth1");
  EXPECT_EQ(interfaces[1].raw.rx_bytes, 2u);
}

TEST_P(KindsTest, ThePluginKnowsWhatIsWantedAndTheHostKeepsWhatItGets) {
  Runtime& runtime = **registry_.runtime("run");
  const auto usual = runtime.containerStats(op_, "pod-1", {"a"}, 0);
  ASSERT_TRUE(usual.ok()) << usual.status();
  EXPECT_EQ(usual->front().raw.cpu_user, uint64_t{~uint32_t{BERTH_STATS_ON_REQUEST}});
  EXPECT_TRUE(usual->front().disks.empty());

  const auto more = runtime.containerStats(op_, "pod-1", {"a"}, BERTH_STATS_DISKS);
  ASSERT_TRUE(more.ok()) << more.status();
  EXPECT_EQ(more->front().raw.cpu_user, uint64_t{BERTH_STATS_DISKS});
  const auto& disks = more->front().disks;
  ASSERT_EQ(disks.size(), 2u);
  EXPECT_EQ(disks[0].device, "/dev/sda");
  EXPECT_EQ(disks[1].device, "/dev/sdb");
  EXPECT_EQ(disks[1].raw.read_bytes, 4u);
  ASSERT_EQ(more->front().hugePages.size(), 1u);
  EXPECT_EQ(more->front().hugePages[0].pageSize, "2MB");
  EXPECT_EQ(more->front().hugePages[0].raw.usage, 5u);
}

TEST_P(KindsTest, SnapshotterTakesAStreamAndListsLayers) {
  Snapshotter& snapshotter = **registry_.snapshotter("snap");
  EXPECT_TRUE(snapshotter.independentLayers());
  EXPECT_FALSE(snapshotter.mapsIds());
  std::vector<std::string_view> pieces = {"one", "two", ""};
  size_t next = 0;
  const auto usage = snapshotter.applyLayer(
      op_, {"chain", "", "diff-1"},
      [&]() -> absl::StatusOr<std::string_view> { return pieces.at(next++); });
  ASSERT_TRUE(usage.ok()) << usage.status();
  EXPECT_EQ(usage->bytes, 6u);
  EXPECT_THAT(*snapshotter.listLayers(op_), ElementsAre("diff-1"));
  EXPECT_EQ(snapshotter.filesystem(op_)->usage.bytes, 42u);

  SnapshotSpec spec;
  spec.key = "container-1";
  spec.layers = {{"c1", "", "d1"}, {"c2", "c1", "d2"}};
  EXPECT_EQ(snapshotter.prepare(op_, spec).message(),
            "snapshot container-1 above 2 layers, top d2");
}

// Those of 1.0 have none.
TEST_P(KindsTest, ASnapshotterThatMountsRemotelyIsLentCredentials) {
  if (GetParam().prefix[0] == 'f') GTEST_SKIP();
  const auto& all = registry_.instances();
  const auto snapshotter = std::find_if(
      all.begin(), all.end(), [](const auto& one) { return one->kind() == Kind::kSnapshotter; });
  berth_snapshotter_remote_layers table{};
  ASSERT_TRUE((*snapshotter)->extension(BERTH_EXTENSION_REMOTE_LAYERS, 1, &table, sizeof table));
  berth_descriptor descriptor{};
  descriptor.size = sizeof descriptor;
  descriptor.blob_size = 4711;
  berth_layer layer{};
  layer.size = sizeof layer;
  layer.diff_id = str("sha256:d");
  struct Lender {
    const char* password;
    static berth_code lend(void* user,
                           void (*found)(void* foundUser, const berth_credentials* credentials),
                           void* foundUser, berth_error* error) {
      const char* password = static_cast<Lender*>(user)->password;
      if (password == nullptr) return berth_fail(error, BERTH_NOT_FOUND, str("there are none"));
      berth_credentials credentials{};
      credentials.size = sizeof credentials;
      credentials.password = str(password);
      found(foundUser, &credentials);
      return BERTH_OK;
    }
  } lender{"secret"};
  const berth_remote_layer remote = {.size = sizeof remote,
                                     .reference = str("a.example/app:1"),
                                     .descriptor = &descriptor,
                                     .user = &lender,
                                     .credentials = &Lender::lend};
  berth_usage usage{};
  usage.size = sizeof usage;
  const auto adopt = [&](const berth_remote_layer& given) {
    return (*snapshotter)->call(op_, {}, [&](berth_error* error) {
      return table.layer_adopt((*snapshotter)->handle(), op_.op(), &layer, &given, &usage, error);
    });
  };
  EXPECT_TRUE(adopt(remote).ok());
  EXPECT_EQ(usage.bytes, 4711u);
  EXPECT_THAT(host_.log(),
              Contains("snap: adopt layer=sha256:d of=a.example/app:1 password=secret"));
  lender.password = nullptr;
  EXPECT_EQ(adopt(remote), absl::NotFoundError("there are none"));
  berth_remote_layer without = remote;
  without.credentials = nullptr;
  EXPECT_EQ(adopt(without), absl::UnauthenticatedError("nothing is lent"));
}

TEST_P(KindsTest, AFailingStreamsOwnFailureComesBack) {
  Snapshotter& snapshotter = **registry_.snapshotter("snap");
  const auto usage = snapshotter.applyLayer(op_, {"chain", "", "diff-2"},
                                            []() -> absl::StatusOr<std::string_view> {
                                              return absl::DataLossError("the digest is another");
                                            });
  EXPECT_EQ(usage.status(), absl::DataLossError("the digest is another"));
  EXPECT_TRUE(snapshotter.listLayers(op_)->empty());
}

TEST_P(KindsTest, SourceResolvesAndFetches) {
  ImageSource& source = **registry_.imageSource("files");
  write("a.example_app:1", "sha256:d");
  write("sha256:d", "{\"schemaVersion\": 2}");
  EXPECT_FALSE(source.serves("elsewhere.example/app:1"));
  EXPECT_TRUE(source.serves("a.example/app:1"));
  const auto resolved = source.resolve(op_, {"a.example/app:1", nullptr}, 1000);
  ASSERT_TRUE(resolved.ok()) << resolved.status();
  EXPECT_EQ(resolved->descriptor.digest, "sha256:d");
  EXPECT_EQ(resolved->descriptor.size, resolved->document.size());
  EXPECT_EQ(resolved->document, "{\"schemaVersion\": 2}");
  EXPECT_EQ(source.resolve(op_, {"a.example/app:1", nullptr}, 3).status().code(),
            absl::StatusCode::kResourceExhausted);

  std::string got;
  Descriptor descriptor;
  descriptor.digest = "sha256:d";
  ASSERT_TRUE(source
                  .fetch(op_, {"a.example/app:1", nullptr}, descriptor, 1,
                         [&](std::string_view bytes) {
                           got += bytes;
                           return absl::OkStatus();
                         })
                  .ok());
  EXPECT_EQ(got, "\"schemaVersion\": 2}");
  EXPECT_EQ(source.fetch(op_, {"a.example/app:1", nullptr}, descriptor, 0,
                         [](std::string_view) { return absl::AbortedError("no room"); }),
            absl::AbortedError("no room"));
}

TEST_P(KindsTest, NetworkAttachesAndLetsGo) {
  Network& network = **registry_.network("net");
  NetworkRequest request;
  request.pod = "pod-1";
  const auto attached = network.attach(op_, request);
  ASSERT_TRUE(attached.ok()) << attached.status();
  EXPECT_THAT(attached->addresses, ElementsAre("192.0.2.1"));
  EXPECT_EQ(op_.stage(), "pod-1");
  EXPECT_TRUE(network.check(op_, request, attached->state).ok());
  EXPECT_TRUE(network.status(op_).ok());
  EXPECT_TRUE(network.setPodCidr(op_, "10.0.0.0/24").ok());
  EXPECT_TRUE(network.collectGarbage(op_, {{"pod-1", attached->state}}).ok());
  EXPECT_TRUE(network.detach(op_, request, attached->state).ok());
}

std::vector<Age> ages() {
  std::vector<Age> all;
  for (const bool isolated : {false, true}) {
    for (const char* prefix : {"", "first-c-", "first-cpp-", "future-c-", "future-cpp-", "later-"})
      all.push_back({prefix, isolated});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(All, KindsTest, ::testing::ValuesIn(ages()));

}  // namespace
}  // namespace berth::plugins
