// From the text of a policy to what it requires.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>
#include <boost/json.hpp>

#include "signatures/policy.hpp"

namespace berth::signatures {

// Strict, as the format demands: a member that is not known, or not wanted where it stands, makes
// the whole policy useless. The first problem counts, with its place.
class PolicyReader {
 public:
  PolicyReader(const std::string& path, const OpenPgp& openPgp) : path_(path), openPgp_(openPgp) {}

  // Once.
  absl::StatusOr<std::shared_ptr<const Policy>> read(std::string_view text);

 private:
  absl::StatusOr<Requirements> requirements(const boost::json::value& value,
                                            const std::string& place);
  absl::StatusOr<Requirement> requirement(const boost::json::value& value,
                                          const std::string& place);
  absl::Status readScopes(const boost::json::value& value, const std::string& transport,
                          std::map<std::string, Requirements>& out);
  absl::Status readKeyrings(const boost::json::object& object, const std::string& place,
                            Requirement& out);
  absl::Status readKeys(const boost::json::object& object, const std::string& place,
                        Requirement& out);

  const std::string path_;
  const OpenPgp openPgp_;
  std::vector<std::string> texts_;  // of all that was read
};

}  // namespace berth::signatures
