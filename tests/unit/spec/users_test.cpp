#include "engine/spec/users.hpp"

#include <malloc.h>
#include <sys/stat.h>

#include "fixture.hpp"

namespace berth::spec {
namespace {

using runtime::v1::LinuxContainerSecurityContext;
using test::invalid;
using testing::ElementsAreArray;

constexpr const char* kPasswd =
    "root:x:0:0:root:/root:/bin/sh\n"
    "# a comment:x:1:1\n"
    "broken line\n"
    ":x:5:5::/:\n"
    "negative:x:-1:0::/:\n"
    "huge:x:4294967295:4294967295::/:\n"
    "words:x:five:six::/:\n"
    "bob:x:1000:1001:Bob:/home/bob:/bin/sh\n"
    "bob:x:1:1:second:/:\n"
    "short:x:7:8\n"
    "nonl:x:9:10::/:";
constexpr const char* kGroup =
    "root:x:0:\n"
    "garbage\n"
    "bad:x:NaN:bob\n"
    "bob:x:1001:\n"
    "staff:x:50:alice,bob\n"
    "audio:x:63: bob ,,root\r\n"
    "late:x:70:root";

struct Case {
  const char* name;
  const char* request;
  const char* imageUser;
  uint32_t uid;
  uint32_t gid;
  std::vector<uint32_t> groups;
};

class Users : public testing::TestWithParam<Case> {};

TEST_P(Users, Resolve) {
  const UserDatabase database(kPasswd, kGroup);
  const auto user = resolveUser(test::parse<LinuxContainerSecurityContext>(GetParam().request),
                                GetParam().imageUser, database);
  ASSERT_OK(user);
  EXPECT_EQ(user->uid, GetParam().uid);
  EXPECT_EQ(user->gid, GetParam().gid);
  EXPECT_THAT(user->groups, ElementsAreArray(GetParam().groups));
}

INSTANTIATE_TEST_SUITE_P(
    All, Users,
    testing::Values(
        Case{"Default", "", "", 0, 0, {0, 63, 70}},
        Case{"ImageName", "", "bob", 1000, 1001, {50, 63, 1001}},
        Case{"ImageUid", "", "1000", 1000, 1001, {50, 63, 1001}},
        Case{"ImageUidUnknown", "", "4242", 4242, 0, {0}},
        Case{"ImageUidGid", "", "1000:5", 1000, 5, {5, 50, 63}},
        Case{"ImageNameGroup", "", "bob:staff", 1000, 50, {50, 63}},
        Case{"ImageUidGroup", "", "4242:audio", 4242, 63, {63}},
        Case{"ImageNameGid", "", "bob:0", 1000, 0, {0, 50, 63}},
        Case{"ImageTrailingColon", "", "bob:", 1000, 1001, {50, 63, 1001}},
        Case{"ShortEntry", "", "short", 7, 8, {8}},
        Case{"LastLineWithoutEnd", "", "nonl", 9, 10, {10}},
        Case{"RequestUidOverImage", "run_as_user { value: 4242 }", "bob", 4242, 0, {0}},
        Case{"RequestUidWithEntry", "run_as_user { value: 1000 }", "", 1000, 1001, {50, 63, 1001}},
        Case{"RequestZero", "run_as_user { value: 0 }", "bob", 0, 0, {0, 63, 70}},
        Case{"RequestName", "run_as_username: 'bob'", "root", 1000, 1001, {50, 63, 1001}},
        Case{"RequestNameOverUid",
             "run_as_username: 'bob' run_as_user { value: 1 }",
             "",
             1000,
             1001,
             {50, 63, 1001}},
        Case{"RequestNumericName", "run_as_username: '1000'", "", 1000, 1001, {50, 63, 1001}},
        Case{"RequestUidGid",
             "run_as_user { value: 1001 } run_as_group { value: 1002 }",
             "",
             1001,
             1002,
             {1002}},
        Case{"RequestNameGid",
             "run_as_username: 'bob' run_as_group { value: 3 }",
             "",
             1000,
             3,
             {3, 50, 63}},
        Case{"Supplemental",
             "supplemental_groups: [5678, 1234, 50] run_as_user { value: 1000 }",
             "",
             1000,
             1001,
             {50, 63, 1001, 1234, 5678}},
        Case{"Strict",
             "supplemental_groups: 1234 run_as_user { value: 1000 } "
             "supplemental_groups_policy: Strict",
             "",
             1000,
             1001,
             {1001, 1234}}),
    [](const auto& chosen) { return std::string(chosen.param.name); });

TEST(UserErrors, NameWhatIsWrong) {
  const UserDatabase database(kPasswd, kGroup);
  const auto resolve = [&](const char* request, const char* image) {
    return resolveUser(test::parse<LinuxContainerSecurityContext>(request), image, database);
  };
  EXPECT_THAT(resolve("run_as_group { value: 5 }", "bob"),
              invalid("user group \"5\" is specified without user"));
  EXPECT_THAT(resolve("", "nobody"), invalid("unable to find user nobody"));
  EXPECT_THAT(resolve("run_as_username: 'huge'", ""), invalid("unable to find user huge"));
  EXPECT_THAT(resolve("", "bob:wheel"), invalid("unable to find group wheel"));
  EXPECT_THAT(resolve("", "bob:staff:x"), invalid("expected user, user:group"));
  EXPECT_THAT(resolve("", ":staff"), invalid("expected user, user:group"));
  EXPECT_THAT(resolve("run_as_user { value: -1 }", ""), invalid("uid -1 is out of range"));
  EXPECT_THAT(resolve("run_as_user { value: 2147483648 }", ""), invalid("out of range"));
  EXPECT_THAT(resolve("", "99999999999999999999"), invalid("out of range"));
  EXPECT_THAT(resolve("", "0:-2"), invalid("gid -2 is out of range"));
  EXPECT_THAT(resolve("supplemental_groups: -1", ""), invalid("supplemental group -1"));
  LinuxContainerSecurityContext strange;
  strange.set_supplemental_groups_policy(static_cast<runtime::v1::SupplementalGroupsPolicy>(9));
  EXPECT_THAT(resolveUser(strange, "", database), invalid("supplemental_groups_policy 9"));
}

TEST(UserReports, AreReportedToOciAndCri) {
  const ResolvedUser user{.uid = 1, .gid = 2, .groups = {2, 3}};
  EXPECT_EQ(boost::json::value(userJson(user)),
            test::json(R"({"uid": 1, "gid": 2, "additionalGids": [2, 3]})"));
  const runtime::v1::LinuxContainerUser cri = criUser(user);
  EXPECT_EQ(cri.uid(), 1);
  EXPECT_EQ(cri.gid(), 2);
  EXPECT_THAT(cri.supplemental_groups(), testing::ElementsAre(2, 3));
}

TEST(UserDatabase, ReadsTheImagesFiles) {
  const test::TemporaryDirectory root;
  root.write("etc/passwd", kPasswd);
  root.write("etc/group", kGroup);
  const auto database = UserDatabase::open(root.path());
  ASSERT_OK(database);
  ASSERT_TRUE(database->userNamed("bob"));
  EXPECT_EQ(database->userNamed("bob")->uid, 1000u);
  ASSERT_TRUE(database->groupNamed("staff"));
}

TEST(UserDatabase, TakesMissingFilesAsEmpty) {
  const test::TemporaryDirectory root;
  const auto database = UserDatabase::open(root.path());
  ASSERT_OK(database);
  EXPECT_FALSE(database->userNamed("root"));
  EXPECT_EQ(resolveUser({}, "17", *database)->uid, 17u);
}

TEST(UserDatabase, FollowsLinksInsideTheImageAlone) {
  const test::TemporaryDirectory root;
  const test::TemporaryDirectory outside;
  outside.write("passwd", "outsider:x:1:1\n");
  root.write("usr/passwd", "insider:x:1:1\n");
  root.link("etc/passwd", "/usr/passwd");  // absolute, and yet inside
  root.link("etc/group", "../../../../../.." + (outside / "passwd"));
  const auto database = UserDatabase::open(root.path());
  ASSERT_OK(database);
  EXPECT_TRUE(database->userNamed("insider"));
  EXPECT_FALSE(database->groupNamed("outsider"));
}

TEST(UserDatabase, RefusesWhatIsNoFile) {
  const test::TemporaryDirectory root;
  root.makeDirectory("etc");
  ASSERT_EQ(::mkfifo((root / "etc/passwd").c_str(), 0644), 0);
  EXPECT_THAT(UserDatabase::open(root.path()), invalid("not a regular file"));
}

TEST(UserDatabase, RefusesEndlessFiles) {
  const test::TemporaryDirectory root;
  root.write("etc/passwd", "");
  root.write("etc/group", std::string((8u << 20) + 1, 'x'));
  EXPECT_THAT(UserDatabase::open(root.path()), invalid("larger than"));
}

std::string repeated(std::string_view line, size_t bytes) {
  std::string text;
  while (text.size() < bytes) text += line;
  return text;
}

size_t allocated() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

TEST(UserDatabase, TakesNoMoreMemoryThanTheFiles) {
  const size_t before = allocated();
  const UserDatabase database(repeated("a::0:0\n", 8u << 20), repeated("b::0:a,a,a\n", 8u << 20));
  EXPECT_LT(allocated() - before, size_t{40} << 20);
  EXPECT_FALSE(database.userNamed("c"));
}

TEST(UserDatabase, MoreGroupsThanAProcessCanBeInAreRefused) {
  std::string group;
  for (int gid = 1; gid <= 70'000; ++gid) group += "g::" + std::to_string(gid) + ":root\n";
  const UserDatabase database("root::0:0\n", group);
  EXPECT_THAT(resolveUser({}, "root", database), invalid("70001 groups"));
}

TEST(UserDatabase, NeedsARoot) {
  const test::TemporaryDirectory root;
  EXPECT_EQ(UserDatabase::open(root / "nowhere").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace berth::spec
