#include "common/start_memory.hpp"

#include <cstdint>
#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "berth/support/fd.hpp"

namespace berth::common {
namespace {

class Text : public ::testing::Test {
 protected:
  // Mapped text as a program has it: private, of a file, executable.
  void SetUp() override {
    char path[] = "/tmp/berth-text-XXXXXX";
    const int fd = ::mkstemp(path);
    ASSERT_GE(fd, 0);
    ::unlink(path);
    const std::string page(kPage, 'a');
    ASSERT_EQ(::write(fd, page.data(), page.size()), static_cast<ssize_t>(kPage));
    void* mapped = ::mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    ::close(fd);
    ASSERT_NE(mapped, MAP_FAILED);
    text_ = static_cast<char*>(mapped);
  }
  void TearDown() override { ::munmap(text_, kPage); }

  void makeText() { ASSERT_EQ(::mprotect(text_, kPage, PROT_READ | PROT_EXEC), 0); }

  // Bit 63 of its entry, see proc_pid_pagemap(5).
  bool isMapped() const {
    const support::Fd entries(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
    uint64_t entry = 0;
    const auto offset = static_cast<off_t>(reinterpret_cast<uintptr_t>(text_) / kPage * 8);
    EXPECT_EQ(::pread(entries.get(), &entry, sizeof entry, offset), 8);
    return (entry >> 63) != 0;
  }

  const size_t kPage = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  char* text_ = nullptr;
};

TEST_F(Text, IsLetGoOfAndComesBack) {
  makeText();
  ASSERT_EQ(*const_cast<volatile char*>(text_), 'a');
  ASSERT_TRUE(isMapped());
  releaseStartMemory();
  EXPECT_FALSE(isMapped());
  EXPECT_EQ(*const_cast<volatile char*>(text_), 'a');
}

TEST_F(Text, ThatSomebodyHasChangedStays) {
  text_[0] = 'b';
  makeText();
  releaseStartMemory();
  EXPECT_TRUE(isMapped());
  EXPECT_EQ(text_[0], 'b');
}

}  // namespace
}  // namespace berth::common
