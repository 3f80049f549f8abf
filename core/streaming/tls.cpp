#include "streaming/tls.hpp"

#include <sys/stat.h>

#include <boost/system/error_code.hpp>
#include <openssl/ssl.h>

#include "berth/support/status.hpp"
#include "common/log.hpp"

namespace berth::streaming {

namespace ssl = boost::asio::ssl;
using boost::system::error_code;
using support::strCat;

namespace {

constexpr std::chrono::seconds kRetry{1};

absl::Status check(const error_code& error, std::string_view doing, const std::string& file) {
  if (!error) return absl::OkStatus();
  return absl::InvalidArgumentError(strCat(doing, " ", file, ": ", error.message()));
}

absl::Status useClientCa(ssl::context& context, const std::string& file) {
  error_code error;
  context.load_verify_file(file, error);
  BERTH_RETURN_IF_ERROR(check(error, "read the clients' authority", file));
  // Tells clients which of their certificates to present.
  STACK_OF(X509_NAME)* names = SSL_load_client_CA_file(file.c_str());
  if (names == nullptr) {
    return absl::InvalidArgumentError(
        strCat("read the clients' authority ", file, ": it holds no certificate"));
  }
  SSL_CTX_set_client_CA_list(context.native_handle(), names);
  context.set_verify_mode(ssl::verify_peer | ssl::verify_fail_if_no_peer_cert);
  return absl::OkStatus();
}

}  // namespace

TlsContexts::Marks TlsContexts::marksOf(const TlsFiles& files) {
  const std::array<const std::string*, 3> paths = {&files.certificate, &files.key, &files.clientCa};
  Marks marks{};
  for (size_t i = 0; i < paths.size(); ++i) {
    struct stat found {};
    if (paths[i]->empty() || ::stat(paths[i]->c_str(), &found) != 0) continue;
    marks[i] = {static_cast<int64_t>(found.st_dev),
                static_cast<int64_t>(found.st_ino),
                static_cast<int64_t>(found.st_size),
                found.st_mtim.tv_sec,
                found.st_mtim.tv_nsec,
                found.st_ctim.tv_sec,
                found.st_ctim.tv_nsec};
  }
  return marks;
}

absl::StatusOr<TlsContexts::Context> TlsContexts::read(const TlsFiles& files) {
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  SSL_CTX* native = context->native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  // Each connection is checked on its own: one resumed would get by a changed client CA.
  SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(native, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_num_tickets(native, 0);
  SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);

  error_code error;
  context->use_certificate_chain_file(files.certificate, error);
  BERTH_RETURN_IF_ERROR(check(error, "read the certificate", files.certificate));
  context->use_private_key_file(files.key, ssl::context::pem, error);
  BERTH_RETURN_IF_ERROR(check(error, "read the private key", files.key));
  if (SSL_CTX_check_private_key(native) != 1) {
    return absl::InvalidArgumentError(strCat(
        "the private key ", files.key, " does not belong to the certificate ", files.certificate));
  }
  if (!files.clientCa.empty()) BERTH_RETURN_IF_ERROR(useClientCa(*context, files.clientCa));
  return context;
}

absl::StatusOr<std::unique_ptr<TlsContexts>> TlsContexts::load(TlsFiles files) {
  // Before reading: a change in between is seen at the next connection.
  const Marks seen = marksOf(files);
  BERTH_ASSIGN_OR_RETURN(Context context, read(files));
  return std::unique_ptr<TlsContexts>(new TlsContexts(std::move(files), std::move(context), seen));
}

TlsContexts::Context TlsContexts::current() {
  std::lock_guard lock(mutex_);
  const Marks marks = marksOf(files_);
  if (marks == used_) return context_;
  const auto now = std::chrono::steady_clock::now();
  // Tried again all the same: descriptors may have been missing.
  if (marks == refused_ && now < retryAt_) return context_;
  absl::StatusOr<Context> fresh = read(files_);
  if (fresh.ok()) {
    context_ = *std::move(fresh);
    used_ = marks;
    common::logInfo("the streaming server's certificate was read again",
                    {{"certificate", files_.certificate}});
  } else {
    const std::string reason(fresh.status().message());
    if (marks != refused_ || reason != reason_) {
      common::logWarning(
          "the streaming server keeps its certificate: the changed files cannot be used",
          {{"error", reason}});
    }
    refused_ = marks;
    reason_ = reason;
    retryAt_ = now + kRetry;
  }
  return context_;
}

}  // namespace berth::streaming
