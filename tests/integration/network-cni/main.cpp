// Runs the tests in a network and a mount namespace of their own: the machine's network, its CNI
// state and its iptables lock stay untouched.
#include <cstdio>
#include <cstdlib>
#include <sched.h>
#include <sys/mount.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

bool enterNamespaces() {
  if (::unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) return false;
  return ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, nullptr) == 0 &&
         // Without it nothing here reaches an address of its own.
         std::system("ip link set lo up") == 0;
}

}  // namespace

int main(int argc, char** argv) {
  ::testing::InitGoogleMock(&argc, argv);
  // Before the first thread: threads inherit the namespaces of their creator.
  if (!enterNamespaces()) {
    std::perror("the tests need root: enter new network and mount namespaces");
    return EXIT_FAILURE;
  }
  return RUN_ALL_TESTS();
}
