// A server of tokens that a real registry believes (distribution specification of tokens, "Token
// Authentication Implementation").
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include <openssl/evp.h>

#include "docker_registry.hpp"
#include "scripted_server.hpp"

namespace berth::registry_test {

class TokenServer {
 public:
  static constexpr const char* kIssuer = "test issuer";
  static constexpr const char* kService = "test-service";

  // Gives tokens for `repository` to whoever has the password.
  TokenServer(const TemporaryDirectory& directory, std::string user, std::string password,
              std::string repository);

  std::string realm() const { return server_->origin() + "/token"; }
  const std::string& certificate() const { return certificate_; }  // a file
  size_t given() const { return given_; }                          // tokens

 private:
  struct FreeKey {
    void operator()(EVP_PKEY* key) const { ::EVP_PKEY_free(key); }
  };
  Reply answer(const Received& request);
  std::string token() const;
  std::string sign(const std::string& text) const;

  const std::string user_;
  const std::string password_;
  const std::string repository_;
  const std::string certificate_;
  std::string certificateText_;  // base64, of its DER form
  std::unique_ptr<EVP_PKEY, FreeKey> key_;
  std::atomic<size_t> given_ = 0;
  std::unique_ptr<ScriptedServer> server_;
};

}  // namespace berth::registry_test
