#include "berth/support/own_folder.hpp"

#include <fcntl.h>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "berth/support/fd.hpp"
#include "berth/support/status.hpp"
#include "temporary_directory.hpp"

namespace berth::support {
namespace {

TEST(OwnFolder, OfWhatTheLoaderHasLoaded) {
  const ::berth::testing::TemporaryDirectory directory;
  const std::string folder = std::filesystem::canonical(directory.path());
  EXPECT_EQ(folderOfLoaded(directory / "plugin.so"), folder);
  EXPECT_EQ(folderOfLoaded(directory / "./././plugin.so"), folder);
  EXPECT_EQ(folderOfLoaded("plugin.so"), "");
  const auto libc = ownFolder(reinterpret_cast<const void*>(&::open));
  EXPECT_TRUE(std::filesystem::is_directory(libc)) << libc;
}

TEST(OwnFolder, OfAFileThatIsLoadedByItsDescriptor) {
  const ::berth::testing::TemporaryDirectory directory;
  const std::string path = directory / "plugin.so";
  std::ofstream(path).put('1');
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const std::string name = strCat("/proc/self/fd/", file.get());
  EXPECT_EQ(folderOfLoaded(name), std::filesystem::canonical(directory.path()));
  std::ofstream(directory / "next.so").put('2');
  std::filesystem::rename(directory / "next.so", path);
  EXPECT_EQ(folderOfLoaded(name), std::filesystem::canonical(directory.path()));
  EXPECT_EQ(folderOfLoaded("/proc/self/fd/999999"), "");
}

}  // namespace
}  // namespace berth::support
