// Which file is executed for the OCI runtime: the daemon's copy, while it is the file's.
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>

#include "berth/support/files.hpp"
#include "pod_fixture.hpp"
#include "sealed_program.hpp"

namespace berth::runc {
namespace {

using testing::HasSubstr;

class RuntimeProgram : public PodFixture {
 protected:
  void SetUp() override {
    PodFixture::SetUp();
    const std::string own = directory_ + "/runtime";
    original_ = std::filesystem::canonical(runtime_);
    std::filesystem::copy_file(original_, own);
    runtime_ = own;
  }
  void TearDown() override {
    // The containers are deleted by it.
    std::filesystem::copy_file(original_, runtime_ + ".new");
    std::filesystem::rename(runtime_ + ".new", runtime_);
    PodFixture::TearDown();
  }

  void startPodWithCopy(const std::string& copy) {
    protocol::StartRequest request = podRequest();
    request.runtimeCopy = copy;
    startPod(request);
    shell("box", "sleep 9999");
  }

  // Of the same size; of the same time too when `time` says so.
  void spoilTheFile(bool keepTime) {
    struct stat before = {};
    ASSERT_EQ(stat(runtime_.c_str(), &before), 0);
    // Beside and renamed: a file that is executed cannot be written.
    const std::string other = runtime_ + ".new";
    std::ofstream(other) << "#!/bin/sh\nexit 41\n";
    std::filesystem::permissions(other, std::filesystem::perms::owner_all);
    std::filesystem::resize_file(other, static_cast<uintmax_t>(before.st_size));
    if (keepTime) {
      const timespec times[] = {{0, UTIME_OMIT}, before.st_mtim};
      ASSERT_EQ(utimensat(AT_FDCWD, other.c_str(), times, 0), 0);
    }
    std::filesystem::rename(other, runtime_);
  }

  absl::Status exec() {
    return client_->exec(execOptions("box", absl::StrCat("e", ++execs_), "true"), {}, soon())
        .status();
  }

  std::string original_;
  SealedProgram sealed_;
  int execs_ = 0;
};

TEST_F(RuntimeProgram, TheCopyIsExecutedWhileItIsTheFiles) {
  startPodWithCopy(sealed_.pathOf(runtime_));
  spoilTheFile(true);
  EXPECT_OK(exec());
  spoilTheFile(false);
  EXPECT_THAT(std::string(exec().message()), HasSubstr("exit code 41"));
}

TEST_F(RuntimeProgram, TheCopyIsExecutedWhenTheFileHasMoved) {
  startPodWithCopy(sealed_.pathOf(runtime_));
  std::filesystem::remove(runtime_);
  EXPECT_OK(exec());
}

TEST_F(RuntimeProgram, WhatIsNoSealedFileIsNotExecuted) {
  std::ofstream(directory_ + "/other") << "#!/bin/sh\nexit 1\n";
  std::filesystem::permissions(directory_ + "/other", std::filesystem::perms::owner_all);
  startPodWithCopy(directory_ + "/other");
  EXPECT_OK(exec());
}

TEST_F(RuntimeProgram, TheFileDoesWithoutACopy) {
  startPodWithCopy("/proc/1/fd/99999");
  EXPECT_OK(exec());
}

}  // namespace
}  // namespace berth::runc
