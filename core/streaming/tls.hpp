// The server's certificate and the clients' authority.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <boost/asio/ssl/context.hpp>

namespace berth::streaming {

struct TlsFiles {
  std::string certificate;  // PEM: the server's certificate, then those of its issuers
  std::string key;          // PEM
  std::string clientCa;     // PEM; empty: clients need no certificate
};

// Thread-safe. Blocks on the file system only.
class TlsContexts {
 public:
  using Context = std::shared_ptr<boost::asio::ssl::context>;

  // INVALID_ARGUMENT or the file's error when the files are missing or do not belong together.
  static absl::StatusOr<std::unique_ptr<TlsContexts>> load(TlsFiles files);

  // For the next connection. Reads files again that have changed. While the new ones cannot be used
  // the last that could be stay: they are read once a second at most, for whoever connects has
  // shown nothing yet, and each other reason is logged.
  Context current();

 private:
  // What tells a changed file: device, inode, size, time of modification and of change.
  using Mark = std::array<int64_t, 7>;
  using Marks = std::array<Mark, 3>;

  TlsContexts(TlsFiles files, Context context, Marks seen)
      : files_(std::move(files)), context_(std::move(context)), used_(seen), refused_(seen) {}

  static Marks marksOf(const TlsFiles& files);
  static absl::StatusOr<Context> read(const TlsFiles& files);

  const TlsFiles files_;
  std::mutex mutex_;
  Context context_;
  Marks used_;
  Marks refused_;  // the last that were; until then none
  std::string reason_;
  std::chrono::steady_clock::time_point retryAt_;
};

}  // namespace berth::streaming
