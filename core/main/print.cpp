#include "main/print.hpp"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "common/terminal.hpp"

namespace berth::program {

namespace {

void write(FILE* stream, const char* format, va_list arguments) {
  char* text = nullptr;
  const int size = ::vasprintf(&text, format, arguments);
  if (size < 0) return;
  const std::unique_ptr<char, decltype(&std::free)> owner(text, std::free);
  const std::string shown = common::forTerminal({text, static_cast<size_t>(size)});
  std::fwrite(shown.data(), 1, shown.size(), stream);
}

}  // namespace

void print(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  write(stdout, format, arguments);
  va_end(arguments);
}

void printError(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  write(stderr, format, arguments);
  va_end(arguments);
}

}  // namespace berth::program
