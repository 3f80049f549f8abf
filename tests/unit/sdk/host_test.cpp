// The host's functions as the wrapper gives them to a plugin.
#include <cstdlib>
#include <cstring>

#include <gtest/gtest.h>

#include "berth/plugin.hpp"

namespace berth {
namespace {

struct HostExtension {
  size_t size;
  int32_t (*twice)(int32_t number);
  int32_t (*added_later)(int32_t number);
};

class HostTest : public ::testing::Test {
 protected:
  HostTest() {
    host_.size = sizeof host_;
    host_.abi_minor = 1;
    host_.context = this;
    host_.allocate = [](void* context, size_t bytes) {
      ++static_cast<HostTest*>(context)->allocated_;
      return std::malloc(bytes);
    };
    host_.release = [](void* context, void* memory) {
      --static_cast<HostTest*>(context)->allocated_;
      std::free(memory);
    };
    host_.get_extension = [](void* context, berth_str id, uint32_t revision) -> const void* {
      const auto& self = *static_cast<HostTest*>(context);
      return view(id) == "example.twice" && revision == 2 ? &self.extension_ : nullptr;
    };
  }

  // As an older host has it: without the last member.
  HostExtension extension_{offsetof(HostExtension, added_later),
                           [](int32_t number) { return 2 * number; },
                           [](int32_t number) { return number; }};
  int allocated_ = 0;
  berth_host host_{};
};

TEST_F(HostTest, GivesAndTakesMemory) {
  const Host host(&host_);
  void* memory = host.allocate(64);
  ASSERT_NE(memory, nullptr);
  std::memset(memory, 1, 64);
  EXPECT_EQ(allocated_, 1);
  host.release(memory);
  EXPECT_EQ(allocated_, 0);
}

TEST_F(HostTest, TellsItsMinorVersion) {
  EXPECT_EQ(Host(&host_).abiMinor(), 1u);
}

TEST_F(HostTest, ExtensionsAreCopiedAsFarAsTheHostKnowsThem) {
  const Host host(&host_);
  const auto extension = host.extension<HostExtension>("example.twice", 2);
  ASSERT_NE(extension.size, 0u);
  EXPECT_EQ(extension.twice(4), 8);
  EXPECT_EQ(extension.added_later, nullptr);
  EXPECT_EQ(host.extension<HostExtension>("example.twice", 1).size, 0u);
  EXPECT_EQ(host.extension<HostExtension>("example.other", 2).twice, nullptr);
}

}  // namespace
}  // namespace berth
