#include "host_local.hpp"

#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/file.h>

#include <gmock/gmock.h>

#include "../support/temporary_directory.hpp"
#include "berth/support/fd.hpp"
#include "berth/support/files.hpp"
#include "berth/support/status.hpp"

namespace berth::cni {
namespace {

using berth::testing::TemporaryDirectory;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class HostLocalTest : public ::testing::Test {
 protected:
  TemporaryDirectory directory_;
  const std::string addresses_ = directory_ / "net";

  void SetUp() override { std::filesystem::create_directory(addresses_); }
  void write(const std::string& name, const std::string& content) const {
    std::ofstream(addresses_ + "/" + name) << content;
  }
  bool has(const std::string& name) const { return support::pathExists(addresses_ + "/" + name); }
  NetworkConfig network(const std::string& ipam = "host-local") const {
    return *parseNetwork(support::strCat(R"({"cniVersion": "1.0.0", "name": "net", "plugins": [
                                             {"type": "bridge", "ipam": {"type": ")",
                                         ipam, R"(", "dataDir": ")", directory_.path(), R"("}},
                                             {"type": "portmap"}]})"),
                         "net", FileKind::kList);
  }
};

TEST_F(HostLocalTest, OnlyEmptyAddressesAreReleased) {
  write("10.1.0.2", "");
  write("10.1.0.3", "0123\r\neth0");
  write("10.1.0.5", std::string(70, '\0'));
  write("fd00::2", "");
  write("last_reserved_ip.0", "");
  write("lock", "");
  std::filesystem::create_directory(addresses_ + "/10.1.0.4");
  const auto released = releaseEmptyReservations(network());
  ASSERT_TRUE(released.ok()) << released.status();
  EXPECT_THAT(*released, UnorderedElementsAre(addresses_ + "/10.1.0.2", addresses_ + "/10.1.0.5",
                                              addresses_ + "/fd00::2"));
  EXPECT_FALSE(has("10.1.0.2"));
  EXPECT_TRUE(has("10.1.0.3") && has("last_reserved_ip.0") && has("lock") && has("10.1.0.4"));
}

TEST_F(HostLocalTest, ThoseOfOtherPluginsAreLeftAlone) {
  write("10.1.0.2", "");
  EXPECT_THAT(*releaseEmptyReservations(network("dhcp")), IsEmpty());
  EXPECT_TRUE(has("10.1.0.2"));
}

TEST_F(HostLocalTest, WithoutADirectoryThereIsNothingToDo) {
  std::filesystem::remove(addresses_);
  EXPECT_THAT(*releaseEmptyReservations(network()), IsEmpty());
}

TEST_F(HostLocalTest, WhileHostLocalIsAtWorkNothingIsTouched) {
  write("10.1.0.2", "");
  const support::Fd held = *support::openFile(addresses_ + "/lock", O_RDWR | O_CREAT, 0600);
  ASSERT_EQ(::flock(held.get(), LOCK_EX), 0);
  EXPECT_TRUE(absl::IsUnavailable(releaseEmptyReservations(network()).status()));
  EXPECT_TRUE(has("10.1.0.2"));
}

}  // namespace
}  // namespace berth::cni
