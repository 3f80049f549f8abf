#include "token_server.hpp"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <stdexcept>

#include <openssl/pem.h>

#include "berth/support/files.hpp"
#include "content_helpers.hpp"

namespace berth::registry_test {
namespace {

std::string base64(const std::string& bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int size = ::EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                     reinterpret_cast<const unsigned char*>(bytes.data()),
                                     static_cast<int>(bytes.size()));
  text.resize(static_cast<size_t>(size));
  return text;
}

// RFC 7515, 2: "Base64url Encoding".
std::string base64Url(const std::string& bytes) {
  std::string text = base64(bytes);
  text.erase(std::min(text.find('='), text.size()));
  std::replace(text.begin(), text.end(), '+', '-');
  std::replace(text.begin(), text.end(), '/', '_');
  return text;
}

// The base64 text between the lines that begin and end a PEM file.
std::string insideOfPem(const std::string& path) {
  std::string text = support::readFile(path).value();
  text.erase(0, text.find('\n'));
  text.erase(text.rfind("-----END"));
  text.erase(std::remove(text.begin(), text.end(), '\n'), text.end());
  return text;
}

EVP_PKEY* readKey(const std::string& path) {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
  EVP_PKEY* key =
      file == nullptr ? nullptr : ::PEM_read_PrivateKey(file.get(), nullptr, nullptr, nullptr);
  if (key == nullptr) throw std::runtime_error("cannot read " + path);
  return key;
}

}  // namespace

TokenServer::TokenServer(const TemporaryDirectory& directory, std::string user,
                         std::string password, std::string repository)
    : user_(std::move(user)),
      password_(std::move(password)),
      repository_(std::move(repository)),
      certificate_(directory / "tokens.pem") {
  const std::string key = directory / "tokens.key";
  runProgram({"openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
              "/CN=tokens", "-keyout", key, "-out", certificate_});
  certificateText_ = insideOfPem(certificate_);
  key_.reset(readKey(key));
  server_ =
      std::make_unique<ScriptedServer>([this](const Received& request) { return answer(request); });
}

Reply TokenServer::answer(const Received& request) {
  // There is no OAuth2 here.
  if (request.method != "GET" || request.path != "/token") return statusReply(405);
  if (request.header("authorization") != "Basic " + base64(user_ + ":" + password_))
    return statusReply(401, R"({"errors":[{"code":"UNAUTHORIZED"}]})");
  ++given_;
  return {.headers = {{"Content-Type", "application/json"}},
          .body = R"({"token":")" + token() + R"(","expires_in":300})"};
}

std::string TokenServer::token() const {
  const std::string now = std::to_string(std::time(nullptr) - 10);
  const std::string end = std::to_string(std::time(nullptr) + 300);
  const std::string header = R"({"typ":"JWT","alg":"RS256","x5c":[")" + certificateText_ + R"("]})";
  const std::string claims = std::string(R"({"iss":")") + kIssuer + R"(","sub":")" + user_ +
                             R"(","aud":")" + kService + R"(","exp":)" + end + R"(,"nbf":)" + now +
                             R"(,"iat":)" + now + R"(,"jti":")" + std::to_string(given_) +
                             R"(","access":[{"type":"repository","name":")" + repository_ +
                             R"(","actions":["pull","push"]}]})";
  const std::string text = base64Url(header) + "." + base64Url(claims);
  return text + "." + base64Url(sign(text));
}

std::string TokenServer::sign(const std::string& text) const {
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(::EVP_MD_CTX_new(),
                                                                   &::EVP_MD_CTX_free);
  std::string signature(512, '\0');
  size_t size = signature.size();
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  if (::EVP_DigestSignInit(context.get(), nullptr, ::EVP_sha256(), nullptr, key_.get()) != 1 ||
      ::EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                       bytes, text.size()) != 1)
    throw std::runtime_error("cannot sign a token");
  signature.resize(size);
  return signature;
}

}  // namespace berth::registry_test
