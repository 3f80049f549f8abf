#include "engine/checkpoint/mounts.hpp"

#include "berth/support/json.hpp"
#include "fixture.hpp"

namespace berth::checkpoint {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

boost::json::object spec(const std::string& text) {
  auto parsed = support::parseJsonObject(text, "test");
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return *std::move(parsed);
}

const char* kMounts =
    R"({"mounts": [{"destination": "/proc", "type": "proc"},
                   {"destination": "/data", "type": "bind", "source": "/old"},
                   {"destination": "/etc/hosts", "type": "bind", "source": "/old/hosts"}]})";

TEST(CheckFits, OtherSourcesTakeTheirPlaces) {
  const auto now = spec(
      R"({"mounts": [{"destination": "/etc/hosts", "type": "bind", "source": "/new/hosts"},
                     {"destination": "/data", "type": "bind", "source": "/new"}]})");
  EXPECT_TRUE(checkFits(spec(kMounts), now, {"/data"}).ok());
}

TEST(CheckFits, NamesWhatIsMissing) {
  const auto now = spec(R"({"mounts": [{"destination": "/etc/hosts", "type": "bind"}]})");
  const absl::Status status = checkFits(spec(kMounts), now, {});
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(messageOf(status), HasSubstr("/data"));
  EXPECT_THAT(messageOf(status), Not(HasSubstr("/etc/hosts")));
  EXPECT_THAT(messageOf(status), Not(HasSubstr("/proc")));
}

TEST(CheckFits, NamesWhatCannotBeAdded) {
  const absl::Status status = checkFits(spec(kMounts), spec(kMounts), {"/data", "/more"});
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(messageOf(status), HasSubstr("/more"));
}

TEST(CheckFits, ATerminalComesFromNowhere) {
  const auto with = spec(R"({"process": {"terminal": true}})");
  const auto without = spec(R"({"process": {}})");
  EXPECT_TRUE(checkFits(with, with, {}).ok());
  EXPECT_EQ(checkFits(with, without, {}).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(checkFits(without, with, {}).code(), absl::StatusCode::kFailedPrecondition);
}

const char* kProcess =
    R"({"process": {"args": ["web", "-p", "80"], "cwd": "/srv", "user": {"uid": 5, "gid": 6},
                    "env": ["PATH=/bin", "MODE=fast"]}})";

TEST(CheckSameProcess, TakesTheSame) {
  EXPECT_TRUE(checkSameProcess(spec(kProcess), spec(kProcess), {"MODE=fast"}).ok());
  EXPECT_TRUE(checkSameProcess(spec("{}"), spec("{}"), {}).ok());
}

TEST(CheckSameProcess, SaysWhatIsNot) {
  const auto refusal = [](const char* now, const std::vector<std::string>& variables = {}) {
    const absl::Status status = checkSameProcess(spec(kProcess), spec(now), variables);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    return messageOf(status);
  };
  EXPECT_THAT(refusal(R"({"process": {"args": ["web"], "cwd": "/srv",
                          "user": {"uid": 5, "gid": 6}}})"),
              HasSubstr("command"));
  EXPECT_THAT(refusal(R"({"process": {"args": ["web", "-p", "80"], "cwd": "/",
                          "user": {"uid": 5, "gid": 6}}})"),
              HasSubstr("working directory"));
  EXPECT_THAT(refusal(R"({"process": {"args": ["web", "-p", "80"], "cwd": "/srv",
                          "user": {"uid": 0, "gid": 6}}})"),
              HasSubstr("5:6"));
  const std::string variable = refusal(kProcess, {"MODE=slow"});
  EXPECT_THAT(variable, HasSubstr("MODE"));
  EXPECT_THAT(variable, Not(HasSubstr("slow")));  // it may be a secret
}

}  // namespace
}  // namespace berth::checkpoint
