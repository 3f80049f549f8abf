// A small file of a server, whole in memory.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client.hpp"

namespace berth::registry {

class SmallContent final : public Content {
 public:
  struct Wanted {
    std::string digest;  // empty: any
    uint64_t limit = 0;  // bytes; more is RESOURCE_EXHAUSTED
  };
  explicit SmallContent(Wanted wanted) : wanted_(std::move(wanted)) {}

  std::vector<std::string> headers() const override { return {"Accept: */*"}; }
  absl::Status begin(const HttpHead& head) override;
  absl::Status data(std::string_view piece) override;
  absl::Status finish() override;

  const std::string& bytes() const { return bytes_; }  // after success

 private:
  const Wanted wanted_;
  long status_ = 0;
  std::string bytes_;
};

}  // namespace berth::registry
