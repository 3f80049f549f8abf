// A directory with configurations, plugins and state for one test, and pods' network namespaces.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "berth/support/fd.hpp"
#include "plugin_under_test.hpp"

namespace berth::cni_test {

inline constexpr char kDebianPlugins[] = "/usr/lib/cni";

// Debian's bandwidth plugin crashes in CHECK when the pod has no limits.
enum class Bandwidth { kInChain, kNone };

class NetworkTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  std::string path(std::string_view name) const;
  void write(std::string_view name, std::string_view content, int mode = 0644);
  std::string read(std::string_view name) const;

  // A network of Debian's bridge, with addresses of `subnet` from this test's own IPAM, and portmap
  // and bandwidth behind it.
  std::string bridgeNetwork(std::string_view name = "test-net", std::string_view version = "1.0.0",
                            Bandwidth bandwidth = Bandwidth::kInChain) const;
  // A plugin in this test's own directory, found before Debian's: a shell script.
  void writePlugin(std::string_view type, std::string_view script);

  // Starts the plugin with this test's directories; `more` are further options.
  PluginUnderTest& start(const boost::json::object& more = {});
  PluginUnderTest& restart();
  PluginUnderTest& plugin() { return *plugin_; }

  // A pod with a network namespace of its own.
  Pod newPod(const std::string& id);
  void removeNamespace(const Pod& pod);

  // The addresses that this test's IPAM holds for pods.
  std::vector<std::string> reservations() const;
  // Files in the plugin's own record.
  std::vector<std::string> records() const;

 private:
  std::string directory_;
  std::string bridge_;
  int subnet_ = 0;
  std::unique_ptr<PluginUnderTest> plugin_;
  boost::json::object options_;
  std::vector<std::string> namespaces_;
};

// A TCP server inside a pod's namespace that sends "hello" to the first client.
class PodServer {
 public:
  explicit PodServer(const Pod& pod);
  ~PodServer();
  int port() const { return port_; }

 private:
  support::Fd socket_;
  int port_ = 0;
  std::unique_ptr<std::thread> thread_;
};

// What a TCP server sends before it closes; empty when it cannot be reached.
std::string fetch(const std::string& address, int port);

// A port that nothing listens on here.
int freePort();

// Runs `body` on a thread inside the pod's network namespace.
void inNamespace(const Pod& pod, const std::function<void()>& body);

}  // namespace berth::cni_test
