#include "cdi/registry.hpp"

#include <unistd.h>

#include "berth/support/status.hpp"
#include "fixture.hpp"

namespace berth::cdi {
namespace {

using support::strCat;
using test::invalid;
using test::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

struct CdiRegistry : ::testing::Test {
  // A file that gives its devices a variable each, and all of them another.
  void describe(const std::string& file, const std::string& kind,
                const std::vector<std::string>& devices, const std::string& value = "1") {
    std::string text = strCat("cdiVersion: 0.6.0\nkind: ", kind, "\ncontainerEdits: {env: [ALL_",
                              value, "=1]}\ndevices:\n");
    for (const std::string& device : devices)
      text +=
          strCat("- {name: ", device, ", containerEdits: {env: [\"", device, "=", value, "\"]}}\n");
    test::write(folder / file, text);
  }

  absl::StatusOr<boost::json::value> inject(const std::vector<std::string>& devices) {
    boost::json::object spec = json(R"({"process": {"env": []}})").as_object();
    BERTH_RETURN_IF_ERROR(registry.inject(devices, {}, spec));
    return spec.at("process").at("env");
  }

  berth::testing::TemporaryDirectory folder;
  Registry registry{{folder / "etc", folder / "run"}};
};

TEST_F(CdiRegistry, InjectsWhatIsAskedFor) {
  describe("etc/a.yaml", "v.com/gpu", {"g0", "g1"});
  describe("run/b.json", "v.com/net", {"n0"}, "2");
  describe("etc/ignored.txt", "v.com/other", {"x"});
  EXPECT_THAT(registry.devices(), ElementsAre("v.com/gpu=g0", "v.com/gpu=g1", "v.com/net=n0"));
  EXPECT_THAT(registry.problems(), IsEmpty());
  const auto environment = inject({"v.com/gpu=g1", "v.com/net=n0", "v.com/gpu=g1", "v.com/gpu=g0"});
  ASSERT_TRUE(environment.ok()) << environment.status();
  EXPECT_EQ(*environment, json(R"(["ALL_1=1", "g1=1", "ALL_2=1", "n0=2", "g0=1"])"));
}

TEST_F(CdiRegistry, UnknownDevicesAreNamedWithWhatThereIs) {
  EXPECT_THAT(inject({"v.com/gpu=g0"}), invalid("describe no device"));
  describe("etc/a.yaml", "v.com/gpu", {"g0"});
  test::write(folder / "run/broken.yaml", "cdiVersion: [");
  EXPECT_THAT(inject({"v.com/gpu=g9"}),
              AllOf(invalid("CDI device \"v.com/gpu=g9\" is unknown"),
                    invalid("describe v.com/gpu=g0"), invalid("broken.yaml is of no use")));
  EXPECT_THAT(inject({"g0"}), invalid("is not of the form"));
  // The broken file is no obstacle to others.
  EXPECT_TRUE(inject({"v.com/gpu=g0"}).ok());
  EXPECT_THAT(registry.problems(), SizeIs(1));
  Registry none{{}};
  boost::json::object spec;
  EXPECT_THAT(none.inject({"v.com/gpu=g0"}, {}, spec), invalid("containers.cdi_dirs"));
}

TEST_F(CdiRegistry, LongListsAreCutShort) {
  std::vector<std::string> names;
  for (int i = 0; i < 40; ++i) names.push_back(strCat("g", i));
  describe("etc/a.yaml", "v.com/gpu", names);
  EXPECT_THAT(inject({"v.com/gpu=none"}), invalid("and 20 more"));
}

TEST_F(CdiRegistry, LaterFoldersTakePrecedence) {
  describe("etc/a.yaml", "v.com/gpu", {"g0", "g1"}, "1");
  describe("run/a.yaml", "v.com/gpu", {"g0"}, "2");
  EXPECT_EQ(*inject({"v.com/gpu=g0"}), json(R"(["ALL_2=1", "g0=2"])"));
  EXPECT_EQ(*inject({"v.com/gpu=g1"}), json(R"(["ALL_1=1", "g1=1"])"));
}

TEST_F(CdiRegistry, TwoFilesOfOneFolderMustAgree) {
  describe("etc/a.yaml", "v.com/gpu", {"g0", "g1"});
  describe("etc/b.yaml", "v.com/gpu", {"g0"});
  EXPECT_THAT(inject({"v.com/gpu=g0"}),
              AllOf(invalid("etc/a.yaml"), invalid("etc/b.yaml of the same folder")));
  EXPECT_TRUE(inject({"v.com/gpu=g1"}).ok());
  EXPECT_THAT(registry.devices(), ElementsAre("v.com/gpu=g1"));
  ASSERT_THAT(registry.problems(), SizeIs(1));
  EXPECT_EQ(registry.problems()[0].path, folder / "etc/b.yaml");
  describe("run/c.yaml", "v.com/gpu", {"g0"}, "3");
  EXPECT_EQ(*inject({"v.com/gpu=g0"}), json(R"(["ALL_3=1", "g0=3"])"));
}

TEST_F(CdiRegistry, ChangesAreSeenAtOnce) {
  describe("etc/a.yaml", "v.com/gpu", {"g0"}, "1");
  EXPECT_EQ(inject({"v.com/gpu=g0"})->as_array().at(1), "g0=1");
  describe("etc/a.yaml", "v.com/gpu", {"g0"}, "2");
  EXPECT_EQ(inject({"v.com/gpu=g0"})->as_array().at(1), "g0=2");
  ASSERT_EQ(::unlink((folder / "etc/a.yaml").c_str()), 0);
  EXPECT_THAT(inject({"v.com/gpu=g0"}), invalid("is unknown"));
}

TEST_F(CdiRegistry, NothingIsChangedWhenADeviceIsMissing) {
  describe("etc/a.yaml", "v.com/gpu", {"g0"});
  boost::json::object spec;
  EXPECT_THAT(registry.inject({"v.com/gpu=g0", "v.com/gpu=g1"}, {}, spec), invalid("g1"));
  EXPECT_TRUE(spec.empty());
}

}  // namespace
}  // namespace berth::cdi
