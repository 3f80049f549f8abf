// What libstdc++ calls when something is out of its contract. Defining it here keeps the archive's
// members out of the static link, and with them the unwinder, the demangler and their data: the
// programs have no exceptions, and nothing could catch one.
#include <cstdlib>
#include <new>

// The names are those of libstdc++ and of its ABI.
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming)
namespace std {

void __throw_length_error(const char*) {
  abort();
}
void __throw_logic_error(const char*) {
  abort();
}
void __throw_bad_alloc() {
  abort();
}
void __throw_bad_array_new_length() {
  abort();
}
void __throw_out_of_range_fmt(const char*, ...) {
  abort();
}
void __throw_out_of_range(const char*) {
  abort();
}

}  // namespace std

extern "C" [[noreturn]] void __cxa_pure_virtual() {
  std::abort();
}
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)

namespace {
void* allocate(std::size_t size) {
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) std::abort();
  return memory;
}
}  // namespace

void* operator new(std::size_t size) {
  return allocate(size);
}
void* operator new[](std::size_t size) {
  return allocate(size);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}
