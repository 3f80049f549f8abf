// Debian's docker-registry on a loopback port, and images for it.
#pragma once

#include <string>
#include <thread>
#include <vector>

#include "berth/support/fd.hpp"
#include "berth/support/process.hpp"

namespace berth::registry_test {

// A directory that goes with its content.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

void writeFile(const std::string& path, const std::string& content);
// Runs a program to its end; throws with its output when it fails.
void runProgram(const std::vector<std::string>& argv);

// An OCI layout with one index of one image of one layer, tagged "1".
struct TestImage {
  explicit TestImage(const std::string& directory);
  std::string layout;
  std::string index;
  std::string imageManifest;
  std::string layer;
};

// An authority, a certificate for 127.0.0.1 and one for a client.
struct TestCertificates {
  explicit TestCertificates(const TemporaryDirectory& directory);
  std::string authority, serverCert, serverKey, clientCert, clientKey;
};

class TokenServer;

struct RegistrySetup {
  std::string user;  // empty: no authentication
  std::string password;
  const TokenServer* tokens = nullptr;  // null: the password itself is asked for
  const TestCertificates* certificates = nullptr;
  enum class Clients { kAny, kCertified } clients = Clients::kAny;
};

class DockerRegistry {
 public:
  DockerRegistry(const TemporaryDirectory& directory, const std::string& name,
                 const RegistrySetup& setup);
  ~DockerRegistry();
  DockerRegistry(const DockerRegistry&) = delete;
  DockerRegistry& operator=(const DockerRegistry&) = delete;

  const std::string& host() const { return host_; }  // "127.0.0.1:PORT"
  // Pushes the image as `repository`:1.
  void push(const TestImage& image, const std::string& repository) const;

 private:
  void waitForPort();

  RegistrySetup setup_;
  support::Fd output_;
  support::Process process_;
  std::thread drain_;
  std::string host_;
};

}  // namespace berth::registry_test
