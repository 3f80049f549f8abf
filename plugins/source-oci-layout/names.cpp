#include "names.hpp"

#include "berth/support/status.hpp"

namespace berth::layout {

using support::strCat;

std::string completeName(std::string_view name) {
  if (name.empty() || isBareTag(name)) return std::string(name);
  constexpr std::string_view kDefault = "docker.io/";
  constexpr std::string_view kAlias = "index.docker.io/";
  if (name.starts_with(kAlias)) return completeName(strCat(kDefault, name.substr(kAlias.size())));
  const size_t slash = name.find('/');
  const std::string_view first = name.substr(0, slash);
  const bool hasHost =
      slash != std::string_view::npos &&
      (first == "localhost" || first.find_first_of(".:") != std::string_view::npos);
  std::string complete = hasHost ? std::string(name) : strCat(kDefault, name);
  const size_t path = complete.find('/') + 1;
  if (complete.starts_with(kDefault) && complete.find('/', path) == std::string::npos)
    complete.insert(path, "library/");
  // A colon in the last part begins a tag.
  const size_t last = complete.rfind('/');
  if (complete.find_first_of(":@", last) == std::string::npos) complete += ":latest";
  return complete;
}

std::string_view digestOfReference(std::string_view reference) {
  const size_t at = reference.find('@');
  return at == std::string_view::npos ? std::string_view() : reference.substr(at + 1);
}

}  // namespace berth::layout
