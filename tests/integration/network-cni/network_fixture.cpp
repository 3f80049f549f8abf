#include "network_fixture.hpp"

#include <arpa/inet.h>
#include <atomic>
#include <cstdlib>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdexcept>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include "berth/support/files.hpp"
#include "berth/support/mounts.hpp"
#include "berth/support/process.hpp"
#include "berth/support/status.hpp"

namespace berth::cni_test {
namespace {

using support::strCat;

void require(const absl::Status& status) {
  if (!status.ok()) throw std::runtime_error(std::string(status.message()));
}

sockaddr_in ipv4(const std::string& address, int port) {
  sockaddr_in result = {};
  result.sin_family = AF_INET;
  result.sin_port = htons(static_cast<uint16_t>(port));
  if (::inet_pton(AF_INET, address.c_str(), &result.sin_addr) != 1)
    throw std::runtime_error("no IPv4 address: " + address);
  return result;
}

int portOf(int socket) {
  sockaddr_in bound = {};
  socklen_t size = sizeof bound;
  ::getsockname(socket, reinterpret_cast<sockaddr*>(&bound), &size);
  return ntohs(bound.sin_port);
}

support::Fd listenAnywhere() {
  support::Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in any = ipv4("0.0.0.0", 0);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0 ||
      ::listen(socket.get(), 1) != 0)
    throw std::runtime_error("listen");
  return socket;
}

}  // namespace

void inNamespace(const Pod& pod, const std::function<void()>& body) {
  std::exception_ptr failure;
  std::thread([&] {
    try {
      const support::Fd target(::open(pod.namespacePath.c_str(), O_RDONLY | O_CLOEXEC));
      if (::setns(target.get(), CLONE_NEWNET) != 0) throw std::runtime_error("setns");
      body();
    } catch (...) {
      failure = std::current_exception();
    }
  }).join();
  if (failure) std::rethrow_exception(failure);
}

void NetworkTest::SetUp() {
  static std::atomic<int> number = 0;
  char pattern[] = "/tmp/berth-cni-test-XXXXXX";
  ASSERT_NE(::mkdtemp(pattern), nullptr);
  directory_ = pattern;
  subnet_ = ++number;
  bridge_ = strCat("test", subnet_);
  for (const char* name : {"net.d", "bin", "cache", "netns"})
    require(support::makeDirectories(path(name)));
  options_ = {{"conf_dir", path("net.d")},
              {"bin_dirs", {path("bin"), kDebianPlugins}},
              {"cache_dir", path("cache")}};
}

void NetworkTest::TearDown() {
  plugin_.reset();
  for (const std::string& one : namespaces_)
    EXPECT_TRUE(support::unmount(one, support::UnmountMode::kLazy).ok());
  if (!directory_.empty()) {
    EXPECT_TRUE(support::removeTree(directory_).ok());
  }
}

std::string NetworkTest::path(std::string_view name) const {
  return strCat(directory_, "/", name);
}

void NetworkTest::write(std::string_view name, std::string_view content, int mode) {
  require(support::replaceFile(path(name), content, static_cast<mode_t>(mode),
                               support::Durability::kVisible));
}

std::string NetworkTest::read(std::string_view name) const {
  return support::readFile(path(name)).value_or("");
}

std::string NetworkTest::bridgeNetwork(std::string_view name, std::string_view version,
                                       Bandwidth bandwidth) const {
  const std::string_view last =
      bandwidth == Bandwidth::kNone
          ? std::string_view("]}")
          : std::string_view(R"(, {"type": "bandwidth", "capabilities": {"bandwidth": true}}]})");
  return strCat(R"({"cniVersion": ")", version, R"(", "name": ")", name, R"(", "plugins": [
    {"type": "bridge", "bridge": ")",
                bridge_, R"(", "isGateway": true, "ipMasq": false,
     "ipam": {"type": "host-local", "dataDir": ")",
                path("ipam"), R"(", "ranges": [[{"subnet": "10.77.)", subnet_, R"(.0/24"}]],
              "routes": [{"dst": "0.0.0.0/0"}]}},
    {"type": "portmap", "capabilities": {"portMappings": true}, "snat": true})",
                last);
}

void NetworkTest::writePlugin(std::string_view type, std::string_view script) {
  write(strCat("bin/", type), strCat("#!/bin/sh\n", script, "\n"), 0755);
}

PluginUnderTest& NetworkTest::start(const boost::json::object& more) {
  for (const auto& [key, value] : more) options_[key] = value;
  return restart();
}

PluginUnderTest& NetworkTest::restart() {
  plugin_.reset();
  plugin_ = std::make_unique<PluginUnderTest>(boost::json::serialize(options_));
  return *plugin_;
}

Pod NetworkTest::newPod(const std::string& id) {
  Pod pod{.id = id, .namespacePath = path("netns/" + id)};
  write("netns/" + id, "");
  std::exception_ptr failure;
  std::thread([&] {
    const std::string own = strCat("/proc/self/task/", ::gettid(), "/ns/net");
    if (::unshare(CLONE_NEWNET) != 0 || !support::bindMount(own, pod.namespacePath).ok())
      failure = std::make_exception_ptr(std::runtime_error("make a network namespace"));
  }).join();
  if (failure) std::rethrow_exception(failure);
  namespaces_.push_back(pod.namespacePath);
  return pod;
}

void NetworkTest::removeNamespace(const Pod& pod) {
  require(support::unmount(pod.namespacePath, support::UnmountMode::kLazy));
}

std::vector<std::string> NetworkTest::reservations() const {
  std::vector<std::string> result;
  const auto networks = support::listDirectory(path("ipam"));
  if (!networks.ok()) return result;
  for (const std::string& network : *networks) {
    const auto files = support::listDirectory(strCat(path("ipam"), "/", network));
    if (!files.ok()) continue;
    for (const std::string& file : *files)
      if (file.starts_with("10.")) result.push_back(file);
  }
  return result;
}

std::vector<std::string> NetworkTest::records() const {
  return support::listDirectory(path("cache")).value_or(std::vector<std::string>{"unreadable"});
}

PodServer::PodServer(const Pod& pod) {
  inNamespace(pod, [&] {
    socket_ = listenAnywhere();
    port_ = portOf(socket_.get());
  });
  // A socket stays in the namespace it was made in.
  thread_ = std::make_unique<std::thread>([socket = socket_.get()] {
    const support::Fd client(::accept4(socket, nullptr, nullptr, SOCK_CLOEXEC));
    if (client) (void)::send(client.get(), "hello", 5, MSG_NOSIGNAL);
  });
}

PodServer::~PodServer() {
  ::shutdown(socket_.get(), SHUT_RDWR);
  thread_->join();
}

std::string fetch(const std::string& address, int port) {
  const support::Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval patience{.tv_sec = 10, .tv_usec = 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const sockaddr_in target = ipv4(address, port);
  std::string received(16, '\0');
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&target), sizeof target) != 0)
    return {};
  const ssize_t count = ::recv(socket.get(), received.data(), received.size(), 0);
  received.resize(count > 0 ? static_cast<size_t>(count) : 0);
  return received;
}

int freePort() {
  return portOf(listenAnywhere().get());
}

}  // namespace berth::cni_test
