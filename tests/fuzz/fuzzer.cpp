// One target as a libFuzzer program. BERTH_FUZZ_SEEDS=DIR writes the target's seeds there and ends.
#include <fstream>
#include <iostream>

#include "target.hpp"

namespace {
const berth::fuzz::Target& kTarget = berth::fuzz::BERTH_FUZZ_TARGET;
}

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const char* const folder = std::getenv("BERTH_FUZZ_SEEDS");
  if (folder == nullptr) return 0;
  int number = 0;
  for (const std::string& seed : kTarget.seeds()) {
    std::ofstream file(std::string(folder) + "/seed-" + std::to_string(++number), std::ios::binary);
    if (!file.write(seed.data(), static_cast<std::streamsize>(seed.size())).flush()) {
      std::cerr << "cannot write seeds to " << folder << "\n";
      std::exit(1);
    }
  }
  std::exit(0);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  kTarget.run({reinterpret_cast<const char*>(data), size});
  return 0;
}
