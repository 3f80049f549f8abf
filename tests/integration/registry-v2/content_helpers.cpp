#include "content_helpers.hpp"

#include <random>

#include <openssl/sha.h>

namespace berth::registry_test {

std::string sha256(const std::string& bytes) {
  unsigned char value[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), value);
  std::string result = "sha256:";
  char digits[3];
  for (const unsigned char byte : value) {
    std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned>(byte));
    result += digits;
  }
  return result;
}

std::string noise(size_t size, uint64_t seed) {
  std::mt19937_64 generator(seed);
  std::string result(size, '\0');
  for (char& byte : result) byte = static_cast<char>(generator());
  return result;
}

std::string manifest(const std::string& mark) {
  return std::string(R"({"schemaVersion":2,"mediaType":")") + kManifestType +
         R"(","config":{"mediaType":")" + kConfigType + R"(","digest":")" + sha256(mark) +
         R"(","size":2},"layers":[],"annotations":{"mark":")" + mark + "\"}}";
}

TestDescriptor describe(const std::string& bytes, const std::string& mediaType) {
  return {.mediaType = mediaType, .digest = sha256(bytes), .size = bytes.size()};
}

Reply manifestReply(const std::string& document) {
  return {.headers = {{"Content-Type", kManifestType}, {"Docker-Content-Digest", sha256(document)}},
          .body = document};
}

Reply statusReply(int status, const std::string& body) {
  return {.status = status, .headers = {{"Content-Type", "application/json"}}, .body = body};
}

Reply blobReply(const std::string& blob, const Received& request) {
  const std::string range = request.header("range");
  Reply reply{.headers = {{"Content-Type", "application/octet-stream"}}, .body = blob};
  if (range.empty()) return reply;
  const size_t first = std::stoul(range.substr(range.find('=') + 1));
  reply.status = 206;
  reply.body = blob.substr(first);
  reply.headers.emplace_back("Content-Range", "bytes " + std::to_string(first) + "-" +
                                                  std::to_string(blob.size() - 1) + "/" +
                                                  std::to_string(blob.size()));
  return reply;
}

}  // namespace berth::registry_test
