// What ttrpc's request and response frames carry (ttrpc's request.proto).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace berth::kata::ttrpc {

struct Request {
  std::string service;  // "containerd.task.v2.Task"
  std::string method;
  std::string payload;    // a protocol buffers message
  int64_t timeoutNs = 0;  // 0: none
  std::vector<std::pair<std::string, std::string>> metadata;
};

struct Response {
  int32_t code = 0;  // a gRPC canonical code
  std::string message;
  std::string payload;
};

std::string encode(const Request& request);
std::string encode(const Response& response);
// False for what is no such message. Members that are not known are skipped.
bool decode(std::string_view bytes, Request& request);
bool decode(std::string_view bytes, Response& response);

}  // namespace berth::kata::ttrpc
