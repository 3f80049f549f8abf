// The plugin's shared object, loaded and driven through the C ABI alone, and a host of a few lines.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "berth/image_signatures.h"
#include "berth/image_source.h"
#include "berth/plugin.h"
#include "berth/support/fd.hpp"

namespace berth::registry_test {

struct TestCredentials {
  std::string username;
  std::string password;
  std::string auth;
  std::string serverAddress;
  std::string identityToken;
  std::string registryToken;
};

// An operation that a test can cancel, from any thread.
class TestOp {
 public:
  explicit TestOp(std::chrono::milliseconds time = std::chrono::seconds(60));
  void cancel();
  const berth_op* get() const { return &op_; }
  std::vector<std::string> stages() const;
  uint64_t done() const;

 private:
  berth_op op_{};
  support::Fd event_;
  mutable std::mutex mutex_;
  bool cancelled_ = false;
  std::vector<std::string> stages_;
  uint64_t done_ = 0;
};

struct TestDescriptor {
  std::string mediaType = "application/vnd.oci.image.layer.v1.tar";
  std::string digest;
  uint64_t size = 0;
  std::vector<std::string> urls = {};
};

struct Outcome {
  berth_code code = BERTH_OK;
  std::string message;
  std::string mediaType;  // of resolve
  std::string digest;     // of resolve
  std::string bytes;      // the document, or what was fetched

  bool ok() const { return code == BERTH_OK; }
};

struct FoundSignatures {
  berth_code code = BERTH_OK;
  std::string message;
  std::vector<std::string> simple;
  std::vector<std::pair<std::string, std::string>> sigstore;  // payload, signature

  bool ok() const { return code == BERTH_OK; }
};

class PluginUnderTest {
 public:
  // Configures and starts an instance; throws with the plugin's message when it refuses.
  explicit PluginUnderTest(const std::string& options = "{}");
  ~PluginUnderTest();
  PluginUnderTest(const PluginUnderTest&) = delete;
  PluginUnderTest& operator=(const PluginUnderTest&) = delete;

  static const berth_plugin& description();

  // The host's own, by registry or repository.
  std::map<std::string, TestCredentials> hostCredentials;
  // From now on the host is one of this minor version of the ABI.
  void speakMinor(uint32_t minor) { host_.abi_minor = minor; }
  // Called for each piece of a fetch; anything but BERTH_OK ends it.
  std::function<berth_code(const std::string& piece)> onPiece;

  bool serves(const std::string& reference);
  Outcome resolve(const std::string& reference,
                  const std::optional<TestCredentials>& credentials = std::nullopt);
  Outcome fetch(const std::string& reference, const TestDescriptor& descriptor, uint64_t offset = 0,
                const std::optional<TestCredentials>& credentials = std::nullopt);
  Outcome resolve(const TestOp& op, const std::string& reference, uint64_t limit,
                  const std::optional<TestCredentials>& credentials);
  Outcome fetch(const TestOp& op, const std::string& reference, const TestDescriptor& descriptor,
                uint64_t offset, const std::optional<TestCredentials>& credentials);
  // As a host takes them that wants no more than `most`.
  FoundSignatures signatures(const std::string& reference, const std::string& digest,
                             size_t most = SIZE_MAX,
                             const std::optional<TestCredentials>& credentials = std::nullopt);

  // Everything the plugin has logged, fields included.
  std::string log() const;
  size_t credentialLookups() const;

 private:
  static void onLog(void* context, berth_log_level level, berth_str message,
                    const berth_pair* fields, size_t count);
  static berth_code onGetCredentials(void* context, const berth_op* op, berth_str registry,
                                     void (*found)(void*, const berth_credentials*), void* user,
                                     berth_error* error);

  berth_host host_{};
  void* instance_ = nullptr;
  mutable std::mutex mutex_;
  std::string log_;
  size_t lookups_ = 0;
};

}  // namespace berth::registry_test
