// Control files laid out as a kernel would, in a directory of the test's own.
#pragma once

#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

#include "berth/support/files.hpp"
#include "cgroup_layout.hpp"

namespace berth::runc {

class CgroupFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/berth-stats-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern), nullptr);
    root_ = pattern;
  }
  void TearDown() override { EXPECT_TRUE(support::removeTree(root_).ok()); }

  void write(const std::string& path, const std::string& text) {
    const std::string full = root_ + "/" + path;
    ASSERT_TRUE(support::makeDirectories(full.substr(0, full.rfind('/'))).ok());
    ASSERT_TRUE(support::replaceFile(full, text, 0644, support::Durability::kVisible).ok());
  }
  CgroupLayout unified() {
    return *CgroupLayout::parse("1 0 0:1 / " + root_ + " rw - cgroup2 cgroup2 rw\n");
  }
  CgroupLayout hybrid() {
    std::string text;
    for (const char* name : {"cpu", "cpuacct", "memory", "pids", "blkio", "hugetlb"}) {
      text += "1 0 0:1 / " + root_ + "/" + name + " rw - cgroup cgroup rw," + name + "\n";
    }
    return *CgroupLayout::parse(text + "1 0 0:1 / " + root_ + "/unified rw - cgroup2 cgroup2 rw\n");
  }

  std::string root_;
};

}  // namespace berth::runc
