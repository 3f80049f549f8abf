// Policies as texts, and images that they judge.
#pragma once

#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/temporary_directory.hpp"
#include "berth/support/status.hpp"
#include "keys.hpp"
#include "openpgp_keys.hpp"
#include "signatures/policy.hpp"
#include "test_paths.hpp"

namespace berth::signatures::testing {

inline const OpenPgp& openPgp() {
  static const OpenPgp program{test_paths::openPgp};
  return program;
}

inline std::string refusalOf(const std::string& text) {
  const auto policy = Policy::parse(text, "/etc/policy.json", openPgp());
  EXPECT_FALSE(policy.ok()) << text;
  return std::string(policy.status().message());
}

inline std::shared_ptr<const Policy> policyOf(const std::string& text) {
  const auto policy = Policy::parse(text, "/etc/policy.json", openPgp());
  EXPECT_TRUE(policy.ok()) << policy.status() << "\n" << text;
  return policy.ok() ? *policy : nullptr;
}

// A policy whose images on a.example need what `requirements` says, and others nothing.
inline std::string forExample(const std::string& requirements) {
  return support::strCat(R"({"default": [{"type": "insecureAcceptAnything"}],
                            "transports": {"docker": {"a.example": )",
                         requirements, "}}}");
}

inline Subject subject(const std::string& name, std::vector<Signature> signatures = {}) {
  Subject one;
  one.name = *images::parseReference(name);
  one.digests = {digestOf('a'), digestOf('b')};
  one.signatures = std::move(signatures);
  return one;
}

inline std::string json64(const std::string& bytes) {
  return '"' + std::string(absl::Base64Escape(bytes)) + '"';
}

}  // namespace berth::signatures::testing
