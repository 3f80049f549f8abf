#include "error_body.hpp"

#include <gtest/gtest.h>

namespace berth::registry {
namespace {

TEST(ErrorBody, Documents) {
  EXPECT_EQ(describeErrorBody(
                R"({"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"},
                              {"code":"DENIED"},{"message":"x"},{"message":"fourth"}, 5]})",
                "application/json"),
            "MANIFEST_UNKNOWN: manifest unknown; DENIED; x");
  EXPECT_EQ(describeErrorBody(R"({"error":"invalid_grant","error_description":"expired"})", ""),
            "invalid_grant: expired");
  EXPECT_EQ(describeErrorBody(R"({"details":"incorrect username or password"})", ""),
            "incorrect username or password");
  EXPECT_EQ(describeErrorBody(R"({"errors": "none"})", ""), "");
}

TEST(ErrorBody, Text) {
  EXPECT_EQ(describeErrorBody("404 page not found\n", "text/plain"), "404 page not found");
  EXPECT_EQ(describeErrorBody("<html><h1>no</h1></html>", "text/html"), "");
  EXPECT_EQ(describeErrorBody("  <?xml version='1.0'?>", ""), "");
  EXPECT_EQ(describeErrorBody("\x01\x02", "application/octet-stream"), "");
}

TEST(ErrorBody, CannotForgeLines) {
  const std::string said = describeErrorBody(
      "{\"errors\":[{\"message\":\"a\\nlevel=error\\u001b[31m \\u0000 b\"}]}", "");
  EXPECT_EQ(said, "a level=error [31m b");
  EXPECT_LE(describeErrorBody(std::string(100'000, 'x'), "").size(), 260u);
}

}  // namespace
}  // namespace berth::registry
