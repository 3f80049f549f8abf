// What a scrape gives, over HTTP as a Prometheus server gets it.
#include "telemetry/metrics.hpp"

#include <arpa/inet.h>
#include <chrono>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <vector>

#include <gmock/gmock.h>

#include "berth/support/fd.hpp"
#include "berth/support/status.hpp"

namespace berth::telemetry {
namespace {

using support::strCat;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
  address.sin_port = ::htons(port);
  return address;
}

class MetricsTest : public ::testing::Test {
 protected:
  // One that was free a moment ago.
  static uint16_t freePort() {
    const support::Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    return ::ntohs(address.sin_port);
  }
  std::string scrape(timeval patience = {}) const {
    const support::Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    const sockaddr_in address = loopback(port_);
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      return "no connection";
    const std::string request = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    EXPECT_EQ(::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(request.size()));
    std::string answer;
    char buffer[4096];
    ssize_t count = 0;
    while ((count = ::recv(socket.get(), buffer, sizeof buffer, 0)) > 0)
      answer.append(buffer, static_cast<size_t>(count));
    return answer;
  }
  void serve() { ASSERT_TRUE(metrics_.serve(strCat("127.0.0.1:", port_)).ok()); }

  const uint16_t port_ = freePort();
  Metrics metrics_;
};

TEST_F(MetricsTest, ConnectionsOnWhichNothingComesDoNotHoldUpScrapes) {
  serve();
  std::vector<support::Fd> silent;
  for (int i = 0; i < 3; ++i) {
    silent.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in address = loopback(port_);
    ASSERT_EQ(
        ::connect(silent.back().get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
        0);
  }
  // Far less than the server waits for what they have to say.
  timeval patience{.tv_sec = 2, .tv_usec = 0};
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THAT(scrape(patience), HasSubstr("200 OK"));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
}

TEST_F(MetricsTest, CallsAreCountedByTheirStatus) {
  serve();
  metrics_.countCall("/runtime.v1.RuntimeService/Version", "OK", std::chrono::milliseconds(2),
                     false);
  metrics_.countCall("/runtime.v1.RuntimeService/Version", "INTERNAL", std::chrono::seconds(3),
                     false);
  metrics_.countCall("/runtime.v1.RuntimeService/GetContainerEvents", "OK", std::chrono::seconds(3),
                     true);
  const std::string text = scrape();
  const std::string version = R"(method="Version",service="RuntimeService")";
  EXPECT_THAT(text, HasSubstr(strCat("berth_calls_total{code=\"INTERNAL\",", version, "} 1\n")));
  EXPECT_THAT(text, HasSubstr(strCat("berth_call_seconds_count{", version, "} 2\n")));
  EXPECT_THAT(text,
              HasSubstr(strCat("berth_call_seconds_bucket{", version, ",le=\"0.0025\"} 1\n")));
  EXPECT_THAT(text, HasSubstr("method=\"GetContainerEvents\""));
  EXPECT_THAT(text, Not(HasSubstr("berth_call_seconds_count{method=\"GetContainerEvents\"")));
}

TEST_F(MetricsTest, StagesAreCountedByTheirOperation) {
  serve();
  plugins::Timeline timeline;
  timeline.operation = "RunPodSandbox default/\"web\"";
  timeline.stages = {{"attach the pod's network", 0, 4'000'000}, {"start", 4'000'000, 1}};
  metrics_.countStages(timeline);
  timeline.operation = "free layers";
  metrics_.countStages(timeline);
  const std::string text = scrape();
  EXPECT_THAT(text, HasSubstr("berth_stage_seconds_bucket{operation=\"RunPodSandbox\","
                              "stage=\"attach the pod's network\",le=\"0.005\"} 1\n"));
  EXPECT_THAT(text,
              HasSubstr("berth_stage_seconds_count{operation=\"other\",stage=\"start\"} 1\n"));
}

TEST_F(MetricsTest, PluginsCannotMakeAnyNumberOfSeries) {
  serve();
  plugins::Timeline timeline;
  timeline.operation = "PullImage x";
  const auto name = [](int number) {
    return strCat("blob ", std::string(1, static_cast<char>('a' + number / 26)),
                  std::string(1, static_cast<char>('a' + number % 26)));
  };
  for (int number = 0; number < 500; ++number) timeline.stages.push_back({name(number), 0, 1});
  metrics_.countStages(timeline);
  const std::string text = scrape();
  EXPECT_THAT(text, AllOf(HasSubstr(strCat("stage=\"", name(255), "\"")),
                          Not(HasSubstr(strCat("stage=\"", name(256), "\"")))));
  EXPECT_THAT(text, HasSubstr("_count{operation=\"PullImage\",stage=\"other\"} 244\n"));
}

TEST_F(MetricsTest, StagesAreCountedByTheirWordsAlone) {
  serve();
  plugins::Timeline timeline;
  timeline.operation = "PullImage x";
  timeline.stages = {{"fetch sha256:0123 of secret.example/app:1 from https://m.example", 0, 1},
                     {"resolve localhost/secret:1", 0, 1},
                     {"CNI ADD host-local", 0, 1},
                     {"pull the container's image: secret", 0, 1},
                     {"7 secrets", 0, 1}};
  metrics_.countStages(timeline);
  const std::string text = scrape();
  for (const char* stage :
       {"fetch", "resolve", "CNI ADD host-local", "pull the container's image", "other"})
    EXPECT_THAT(text, HasSubstr(strCat("stage=\"", stage, "\"} 1\n")));
  EXPECT_THAT(text, Not(HasSubstr("secret")));
}

TEST_F(MetricsTest, PluginCallsAreCountedByTheirInstance) {
  serve();
  metrics_.countPluginCall("network", "cni", false, std::chrono::milliseconds(1));
  metrics_.countPluginCall("network", "cni", true, std::chrono::milliseconds(1));
  EXPECT_THAT(
      scrape(),
      AllOf(HasSubstr(
                "berth_plugin_calls_total{kind=\"network\",plugin=\"cni\",result=\"error\"} 1\n"),
            HasSubstr("berth_plugin_call_seconds_count{kind=\"network\",plugin=\"cni\"} 2\n")));
}

TEST_F(MetricsTest, SourcesAreReadWhenTheyAreAskedFor) {
  int asked = 0;
  metrics_.addSource([&asked] {
    return std::vector<Reading>{{"berth_asked", "How often.", {}, static_cast<double>(++asked)},
                                {"berth_asked_total", "The same.", {{"a", "b"}}, 7, true}};
  });
  serve();
  EXPECT_EQ(asked, 0);
  EXPECT_THAT(scrape(), AllOf(HasSubstr("# TYPE berth_asked gauge\nberth_asked 1\n"),
                              HasSubstr("# TYPE berth_asked_total counter\n"
                                        "berth_asked_total{a=\"b\"} 7\n")));
  EXPECT_THAT(scrape(), HasSubstr("berth_asked 2\n"));
  metrics_.stop();
  EXPECT_EQ(scrape(), "no connection");
  EXPECT_EQ(asked, 2);
}

TEST_F(MetricsTest, AnAddressThatIsTakenIsNamed) {
  serve();
  Metrics others;
  const absl::Status status = others.serve(strCat("127.0.0.1:", port_));
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr(strCat("127.0.0.1:", port_)));
}

TEST(ProcessTest, ThisProcessIsThere) {
  double resident = 0;
  double threads = 0;
  for (const Reading& reading : readProcess()) {
    if (reading.name == "process_resident_memory_bytes") resident = reading.value;
    if (reading.name == "process_threads") threads = reading.value;
  }
  EXPECT_GT(resident, 1 << 20);
  EXPECT_GE(threads, 1);
}

}  // namespace
}  // namespace berth::telemetry
