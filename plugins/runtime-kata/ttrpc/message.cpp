#include "message.hpp"

#include "fields.hpp"

namespace berth::kata::ttrpc {

namespace {

enum RequestField : uint32_t { kService = 1, kMethod, kRequestPayload, kTimeout, kMetadata };
enum PairField : uint32_t { kKey = 1, kValue };
enum ResponseField : uint32_t { kStatus = 1, kResponsePayload };
enum StatusField : uint32_t { kCode = 1, kMessage };

bool decodePair(std::string_view bytes, std::pair<std::string, std::string>& pair) {
  FieldReader reader(bytes);
  while (reader.next()) {
    if (reader.number() == kKey) pair.first.assign(reader.bytes());
    if (reader.number() == kValue) pair.second.assign(reader.bytes());
  }
  return !reader.failed();
}

bool decodeStatus(std::string_view bytes, Response& response) {
  FieldReader reader(bytes);
  while (reader.next()) {
    if (reader.number() == kCode) response.code = static_cast<int32_t>(reader.value());
    if (reader.number() == kMessage) response.message.assign(reader.bytes());
  }
  return !reader.failed();
}

}  // namespace

std::string encode(const Request& request) {
  std::string out;
  FieldWriter writer(out);
  writer.bytes(kService, request.service);
  writer.bytes(kMethod, request.method);
  writer.bytes(kRequestPayload, request.payload);
  writer.number(kTimeout, static_cast<uint64_t>(request.timeoutNs));
  for (const auto& [key, value] : request.metadata) {
    std::string pair;
    FieldWriter fields(pair);
    fields.bytes(kKey, key);
    fields.bytes(kValue, value);
    writer.element(kMetadata, pair);
  }
  return out;
}

std::string encode(const Response& response) {
  std::string out;
  FieldWriter writer(out);
  if (response.code != 0 || !response.message.empty()) {
    std::string status;
    FieldWriter fields(status);
    // An int32 is written as the int64 of the same value.
    fields.number(kCode, static_cast<uint64_t>(int64_t{response.code}));
    fields.bytes(kMessage, response.message);
    writer.element(kStatus, status);
  }
  writer.bytes(kResponsePayload, response.payload);
  return out;
}

bool decode(std::string_view bytes, Request& request) {
  FieldReader reader(bytes);
  while (reader.next()) {
    switch (reader.number()) {
      case kService:
        request.service.assign(reader.bytes());
        break;
      case kMethod:
        request.method.assign(reader.bytes());
        break;
      case kRequestPayload:
        request.payload.assign(reader.bytes());
        break;
      case kTimeout:
        request.timeoutNs = static_cast<int64_t>(reader.value());
        break;
      case kMetadata:
        request.metadata.emplace_back();
        if (!decodePair(reader.bytes(), request.metadata.back())) return false;
        break;
      default:
        break;
    }
  }
  return !reader.failed();
}

bool decode(std::string_view bytes, Response& response) {
  FieldReader reader(bytes);
  while (reader.next()) {
    if (reader.number() == kStatus && !decodeStatus(reader.bytes(), response)) return false;
    if (reader.number() == kResponsePayload) response.payload.assign(reader.bytes());
  }
  return !reader.failed();
}

}  // namespace berth::kata::ttrpc
