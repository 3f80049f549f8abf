#include "cdi/names.hpp"

#include "fixture.hpp"

namespace berth::cdi {
namespace {

using test::invalid;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Names, KindsHaveAVendorAndAClass) {
  const auto kind = parseKind("vendor.com/net-dev_1.x");
  ASSERT_TRUE(kind.ok()) << kind.status();
  EXPECT_EQ(kind->vendor, "vendor.com");
  EXPECT_EQ(kind->className, "net-dev_1.x");
  EXPECT_THAT(parseKind("vendor.com"), invalid("is not vendor/class"));
  for (const char* wrong : {"/gpu", "v/", "1v/gpu", "v-/gpu", "v/gpu/x", "v/2gpu", "v v/gpu"})
    EXPECT_THAT(parseKind(wrong), invalid("must be letters")) << wrong;
}

TEST(Names, Devices) {
  for (const char* right : {"0", "gpu0", "a:b.c-d_e", "0:1"})
    EXPECT_TRUE(checkDeviceName(right).ok()) << right;
  for (const char* wrong : {"", "-a", "a-", ":0", "a=b", "a/b", "a b"})
    EXPECT_THAT(checkDeviceName(wrong), invalid("the device name")) << wrong;
}

TEST(Names, Qualified) {
  EXPECT_TRUE(checkQualifiedName("vendor.com/gpu=all").ok());
  EXPECT_THAT(checkQualifiedName("gpu0"), invalid("CDI device \"gpu0\" is not of the form"));
  EXPECT_THAT(checkQualifiedName("vendor.com/gpu="), invalid("the device name \"\""));
  EXPECT_THAT(checkQualifiedName("gpu=0"), invalid("the kind \"gpu\""));
}

TEST(Names, InAnnotations) {
  const auto devices = devicesOfAnnotations({{"cdi.k8s.io/z", "v.com/a=3"},
                                             {"other", "v.com/a=9"},
                                             {"cdi.k8s.io/a", "v.com/a=1,v.com/b=2"}});
  ASSERT_TRUE(devices.ok()) << devices.status();
  EXPECT_THAT(*devices, ElementsAre("v.com/a=1", "v.com/b=2", "v.com/a=3"));
  EXPECT_THAT(*devicesOfAnnotations({{"x", "y"}}), IsEmpty());
  EXPECT_THAT(devicesOfAnnotations({{"cdi.k8s.io/a", "v.com/a=1,"}}),
              invalid("annotation cdi.k8s.io/a: CDI device \"\""));
}

}  // namespace
}  // namespace berth::cdi
