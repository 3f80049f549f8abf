// What the headers and the dynamic symbols of a shared object say.
#pragma once

#include <string>
#include <vector>

#include <absl/status/statusor.h>

namespace berth::check {

struct ElfSymbol {
  std::string name;
  enum class Binding { kGlobal, kWeak, kUnique } binding = Binding::kGlobal;
  bool defined = false;
};

struct ElfFile {
  std::vector<ElfSymbol> symbols;   // dynamic ones that others see or provide
  std::vector<std::string> needed;  // libraries it is linked with
  bool textRelocations = false;
  bool executableStack = false;
  bool hasSymbols = false;  // the table was found
};

// Reads a shared object of this machine; FAILED_PRECONDITION says in what it is none. Trusts
// nothing in the file.
absl::StatusOr<ElfFile> readElf(const std::string& path);

}  // namespace berth::check
