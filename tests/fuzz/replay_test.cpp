// The fuzzers' targets without a fuzzer: their seeds, changes of them that are the same in each
// run, and what the fuzzers have learnt (corpus/). It finds little that is new, and keeps what was
// found from coming back. BERTH_REPLAY_ROUNDS=N makes N times as many changes, for a search where
// there is no clang.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include <gtest/gtest.h>

#include "target.hpp"
#include "test_paths.hpp"

namespace berth::fuzz {
namespace {

struct Case {
  const char* name;
  const Target& target;
  int mutations;  // of each seed; what takes long gets fewer
};

std::ostream& operator<<(std::ostream& out, const Case& one) {
  return out << one.name;
}

int rounds() {
  const char* const text = std::getenv("BERTH_REPLAY_ROUNDS");
  return text == nullptr ? 1 : std::max(1, std::atoi(text));
}

class Replay : public testing::TestWithParam<Case> {};

// Not <random>'s distributions: they differ between libraries.
class Mutator {
 public:
  std::string operator()(std::string text, const std::vector<std::string>& others) {
    for (size_t changes = 1 + below(4); changes > 0; --changes) change(text, others);
    return text;
  }

 private:
  size_t below(size_t bound) { return engine_() % bound; }
  char interesting() {
    static constexpr std::string_view kBytes("\0\x01\x7f\x80\xff \"%,/:;=@[{\n", 17);
    return below(2) == 0 ? kBytes[below(kBytes.size())] : static_cast<char>(below(256));
  }
  void change(std::string& text, const std::vector<std::string>& others) {
    const size_t at = below(text.size() + 1);
    const size_t length = std::min(text.size() - at, 1 + below(16));
    switch (below(6)) {
      case 0:
        text.resize(at);
        break;
      case 1:
        text.erase(at, length);
        break;
      case 2:
        text.insert(at, 1 + below(8), interesting());
        break;
      case 3:
        text.insert(at, text.substr(at, length));
        break;
      case 4: {
        const std::string& other = others[below(others.size())];
        text.replace(at, std::string::npos, other, std::min(at, other.size()), std::string::npos);
        break;
      }
      default:
        if (at < text.size()) text[at] = interesting();
    }
  }

  std::mt19937 engine_{20240501};
};

TEST_P(Replay, SeedsAndTheirMutationsAreTaken) {
  const std::vector<std::string> seeds = GetParam().target.seeds();
  ASSERT_FALSE(seeds.empty());
  Mutator mutate;
  GetParam().target.run({});
  for (const std::string& seed : seeds) {
    GetParam().target.run(seed);
    for (int i = 0; i < rounds() * GetParam().mutations; ++i) {
      GetParam().target.run(mutate(seed, seeds));
    }
  }
}

TEST_P(Replay, WhatTheFuzzersHaveLearntIsTaken) {
  const std::filesystem::path folder =
      std::filesystem::path(test_paths::fuzzCorpus) / GetParam().name;
  int inputs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    SCOPED_TRACE(entry.path().filename());
    std::ifstream file(entry.path(), std::ios::binary);
    ASSERT_TRUE(file);
    GetParam().target.run(std::string(std::istreambuf_iterator<char>(file), {}));
    ++inputs;
  }
  EXPECT_GT(inputs, 0) << folder << " is made by tests/fuzz/run --keep";
}

INSTANTIATE_TEST_SUITE_P(
    Targets, Replay,
    testing::Values(Case{"spdy", kSpdy, 300}, Case{"spdy_headers", kSpdyHeaders, 1000},
                    Case{"upgrade", kUpgrade, 1000}, Case{"websocket", kWebSocket, 100},
                    Case{"reference", kReference, 2000}, Case{"manifest", kManifest, 1000},
                    Case{"decompress", kDecompress, 1000}, Case{"tar", kTar, 500},
                    Case{"cni", kCni, 500}, Case{"registry", kRegistry, 1000},
                    Case{"monitor", kMonitor, 1000}, Case{"ttrpc", kTtrpc, 1000},
                    Case{"shim", kShim, 1000}, Case{"signatures", kSignatures, 500},
                    Case{"isolation", kIsolation, 200}),
    [](const auto& target) { return std::string(target.param.name); });

}  // namespace
}  // namespace berth::fuzz
