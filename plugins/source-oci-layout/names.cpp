#include "names.hpp"

#include "berth/support/status.hpp"

namespace berth::layout {

using support::strCat;

namespace {

// Hosts are the same in any case, and the host asks for them in lowercase.
std::string withLowerHost(std::string name) {
  for (size_t i = 0, end = name.find('/'); i < end && i < name.size(); ++i)
    if (name[i] >= 'A' && name[i] <= 'Z') name[i] = static_cast<char>(name[i] - 'A' + 'a');
  return name;
}

std::string complete(std::string_view name) {
  constexpr std::string_view kDefault = "docker.io/";
  constexpr std::string_view kAlias = "index.docker.io/";
  if (name.starts_with(kAlias)) return complete(strCat(kDefault, name.substr(kAlias.size())));
  const size_t slash = name.find('/');
  const std::string_view first = name.substr(0, slash);
  const bool hasHost =
      slash != std::string_view::npos &&
      (first == "localhost" || first.find_first_of(".:") != std::string_view::npos);
  std::string result = hasHost ? std::string(name) : strCat(kDefault, name);
  const size_t path = result.find('/') + 1;
  if (result.starts_with(kDefault) && result.find('/', path) == std::string::npos)
    result.insert(path, "library/");
  // A colon in the last part begins a tag.
  const size_t last = result.rfind('/');
  if (result.find_first_of(":@", last) == std::string::npos) result += ":latest";
  return result;
}

}  // namespace

std::string completeName(std::string_view name) {
  if (name.empty() || isBareTag(name)) return std::string(name);
  const size_t slash = name.find('/');
  const bool hasHost = slash != std::string_view::npos &&
                       name.substr(0, slash).find_first_of(".:") != std::string_view::npos;
  return complete(hasHost ? withLowerHost(std::string(name)) : std::string(name));
}

std::string_view digestOfReference(std::string_view reference) {
  const size_t at = reference.find('@');
  return at == std::string_view::npos ? std::string_view() : reference.substr(at + 1);
}

}  // namespace berth::layout
