#include "plugin_check/elf.hpp"

#include <cstring>
#include <elf.h>
#include <link.h>
#include <optional>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"

namespace berth::check {

namespace {

constexpr size_t kMaxFile = size_t{1} << 30;

using Header = ElfW(Ehdr);
using Segment = ElfW(Phdr);
using Section = ElfW(Shdr);
using Symbol = ElfW(Sym);
using Dynamic = ElfW(Dyn);

// Copies out of the file, within its bounds.
class Image {
 public:
  explicit Image(std::string bytes) : bytes_(std::move(bytes)) {}

  template <class T>
  std::optional<T> at(size_t offset) const {
    if (offset > bytes_.size() || bytes_.size() - offset < sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, bytes_.data() + offset, sizeof value);
    return value;
  }
  std::string text(size_t offset) const {
    if (offset >= bytes_.size()) return {};
    const size_t end = bytes_.find('\0', offset);
    return bytes_.substr(offset, end == std::string::npos ? end : end - offset);
  }

 private:
  const std::string bytes_;
};

absl::StatusOr<Header> readHeader(const Image& image) {
  const auto header = image.at<Header>(0);
  if (!header.has_value() || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
    return absl::FailedPreconditionError("is no ELF file");
  constexpr unsigned char kClass = sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32;
  if (header->e_ident[EI_CLASS] != kClass)
    return absl::FailedPreconditionError("is for machines with another size of pointers");
  if (header->e_type != ET_DYN)
    return absl::FailedPreconditionError("is no shared object (ET_DYN)");
  return *header;
}

void readSymbols(const Image& image, const Section& table, const Section& names, ElfFile& file) {
  file.hasSymbols = true;
  const size_t count = table.sh_size / sizeof(Symbol);
  for (size_t i = 1; i < count; ++i) {
    const auto symbol = image.at<Symbol>(table.sh_offset + i * sizeof(Symbol));
    if (!symbol.has_value()) return;
    const unsigned binding = ELF64_ST_BIND(symbol->st_info);
    const unsigned visibility = ELF64_ST_VISIBILITY(symbol->st_other);
    if (binding == STB_LOCAL || visibility == STV_HIDDEN || visibility == STV_INTERNAL) continue;
    ElfSymbol found;
    found.name = image.text(names.sh_offset + symbol->st_name);
    found.defined = symbol->st_shndx != SHN_UNDEF;
    // Versions are symbols of no place; linkers' marks are not the plugin's doing.
    if (symbol->st_shndx == SHN_ABS) continue;
    if (found.name == "_init" || found.name == "_fini" || found.name == "__bss_start" ||
        found.name == "_edata" || found.name == "_end")
      continue;
    if (binding == STB_WEAK) found.binding = ElfSymbol::Binding::kWeak;
    if (binding == STB_GNU_UNIQUE) found.binding = ElfSymbol::Binding::kUnique;
    file.symbols.push_back(std::move(found));
  }
}

void readDynamic(const Image& image, const Section& table, const Section& names, ElfFile& file) {
  const size_t count = table.sh_size / sizeof(Dynamic);
  for (size_t i = 0; i < count; ++i) {
    const auto entry = image.at<Dynamic>(table.sh_offset + i * sizeof(Dynamic));
    if (!entry.has_value() || entry->d_tag == DT_NULL) return;
    if (entry->d_tag == DT_NEEDED)
      file.needed.push_back(image.text(names.sh_offset + entry->d_un.d_val));
    if (entry->d_tag == DT_TEXTREL) file.textRelocations = true;
    if (entry->d_tag == DT_FLAGS && (entry->d_un.d_val & DF_TEXTREL) != 0)
      file.textRelocations = true;
  }
}

}  // namespace

absl::StatusOr<ElfFile> readElf(const std::string& path) {
  BERTH_ASSIGN_OR_RETURN(std::string bytes, support::readFile(path, kMaxFile));
  const Image image(std::move(bytes));
  BERTH_ASSIGN_OR_RETURN(const Header header, readHeader(image));
  ElfFile file;
  for (size_t i = 0; i < header.e_phnum; ++i) {
    const auto segment = image.at<Segment>(header.e_phoff + i * sizeof(Segment));
    if (segment.has_value() && segment->p_type == PT_GNU_STACK)
      file.executableStack = (segment->p_flags & PF_X) != 0;
  }
  for (size_t i = 0; i < header.e_shnum; ++i) {
    const auto section = image.at<Section>(header.e_shoff + i * sizeof(Section));
    if (!section.has_value()) break;
    if (section->sh_type != SHT_DYNSYM && section->sh_type != SHT_DYNAMIC) continue;
    const auto names = image.at<Section>(header.e_shoff + section->sh_link * sizeof(Section));
    if (!names.has_value()) continue;
    if (section->sh_type == SHT_DYNSYM) readSymbols(image, *section, *names, file);
    if (section->sh_type == SHT_DYNAMIC) readDynamic(image, *section, *names, file);
  }
  return file;
}

}  // namespace berth::check
