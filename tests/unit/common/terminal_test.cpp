#include "common/terminal.hpp"

#include <gtest/gtest.h>

namespace berth::common {
namespace {

TEST(ForTerminal, ShowsWhatTerminalsObey) {
  EXPECT_EQ(forTerminal("plain, \"Grüße\" …\n\tmore"), "plain, \"Grüße\" …\n\tmore");
  EXPECT_EQ(forTerminal("a\x1b[2Jb\r\x7f"), "a\\x1b[2Jb\\x0d\\x7f");
  EXPECT_EQ(forTerminal(std::string_view("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(forTerminal("\xc2\x9b"
                        "2J"),
            "\\xc2\\x9b2J");
  EXPECT_EQ(forTerminal("\xe2\x80\xae"
                        "gpj.exe"),
            "\\xe2\\x80\\xaegpj.exe");
  EXPECT_EQ(forTerminal("\x9b"
                        "2J"),
            "\xEF\xBF\xBD"
            "2J");
}

TEST(JsonForTerminal, MeansTheSame) {
  EXPECT_EQ(jsonForTerminal("{\n  \"a\": \"\\u001b Grüße\"\n}"),
            "{\n  \"a\": \"\\u001b Grüße\"\n}");
  EXPECT_EQ(jsonForTerminal("\"\x7f\xc2\x9b"
                            "2J\xe2\x80\xae\xe2\x81\xa6\""),
            "\"\\u007f\\u009b2J\\u202e\\u2066\"");
}

}  // namespace
}  // namespace berth::common
