#include "berth/support/criu.hpp"

#include <gtest/gtest.h>

namespace berth::support {
namespace {

TEST(CriuErrors, AreTheFirstOnesWithoutTheirPlaces) {
  EXPECT_EQ(
      criuErrors("(00.000000) Version: 3.17.1\n"
                 "(00.001234)      7: Error (criu/sk-inet.c:191): inet: Connected TCP socket\n"
                 "Warn  (criu/kerndat.c:1103): no eventfd\n"
                 "Error (criu/cr-dump.c:1781): Dumping FAILED.\n"),
      "inet: Connected TCP socket; Dumping FAILED.");
  EXPECT_EQ(criuErrors("Error (a.c:1): 1\nError (a.c:1): 2\nError (a.c:1): 3\nError (a.c:1): 4\n"),
            "1; 2; 3");
}

TEST(CriuErrors, AreNoneInOtherTexts) {
  EXPECT_EQ(criuErrors(""), "");
  EXPECT_EQ(criuErrors("Looks good.\nError (unfinished\n"), "");
}

}  // namespace
}  // namespace berth::support
