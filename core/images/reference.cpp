#include "images/reference.hpp"

#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"
#include "images/digest.hpp"

namespace berth::images {

using support::strCat;

namespace {

constexpr size_t kMaxName = 255;  // distribution: repository names are at most that long
constexpr size_t kMaxTag = 128;
constexpr std::string_view kOfficial = "library/";

bool isLowerAlnum(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}
bool isAlnum(char c) {
  return isLowerAlnum(c) || (c >= 'A' && c <= 'Z');
}

// path-component: alphanumerics joined by one '.', one or two '_', or any number of '-'.
bool isPathComponent(std::string_view part) {
  if (part.empty() || !isLowerAlnum(part.front()) || !isLowerAlnum(part.back())) return false;
  for (size_t i = 0; i < part.size();) {
    if (isLowerAlnum(part[i])) {
      ++i;
      continue;
    }
    const size_t begin = i;
    while (i < part.size() && !isLowerAlnum(part[i])) ++i;
    const std::string_view separator = part.substr(begin, i - begin);
    const bool dashes = separator.find_first_not_of('-') == std::string_view::npos;
    if (!dashes && separator != "." && separator != "_" && separator != "__") return false;
  }
  return true;
}

bool isRepository(std::string_view text) {
  for (size_t begin = 0;;) {
    const size_t end = text.find('/', begin);
    if (!isPathComponent(text.substr(begin, end - begin))) return false;
    if (end == std::string_view::npos) return true;
    begin = end + 1;
  }
}

bool isTag(std::string_view tag) {
  if (tag.empty() || tag.size() > kMaxTag || !(isAlnum(tag[0]) || tag[0] == '_')) return false;
  for (char c : tag) {
    if (!isAlnum(c) && c != '_' && c != '.' && c != '-') return false;
  }
  return true;
}

bool isRegistry(std::string_view text) {
  std::string_view host = text;
  if (host.front() == '[') {
    const size_t end = host.find(']');
    if (end == std::string_view::npos) return false;
    if (host.substr(1, end - 1).find_first_not_of("0123456789abcdefABCDEF:.") !=
        std::string_view::npos) {
      return false;
    }
    host = host.substr(end + 1);
    if (host.empty()) return true;
    if (host.front() != ':') return false;
  } else {
    const size_t colon = host.find(':');
    const std::string_view name = host.substr(0, colon);
    if (name.empty()) return false;
    for (char c : name) {
      if (!isAlnum(c) && c != '.' && c != '-') return false;
    }
    if (colon == std::string_view::npos) return true;
    host = host.substr(colon);
  }
  // With leading zeros one port would have many names.
  const std::string_view port = host.substr(1);
  return !port.empty() && port.front() != '0' &&
         port.find_first_not_of("0123456789") == std::string_view::npos;
}

// Hosts are the same in any case: what is asked of the registry must be what policies judge.
std::string lowerCase(std::string_view host) {
  std::string lower(host);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return lower;
}

// The first part of a name is a registry when it could be no path component of a short name.
bool looksLikeRegistry(std::string_view first) {
  return first == "localhost" || first.find_first_of(".:[") != std::string_view::npos;
}

}  // namespace

bool namesRegistry(std::string_view text) {
  const size_t slash = text.find('/');
  return slash != std::string_view::npos && looksLikeRegistry(text.substr(0, slash));
}

std::string Reference::name() const {
  return strCat(registry, "/", repository);
}

std::string Reference::tagged() const {
  return tag.empty() ? std::string() : strCat(name(), ":", tag);
}

std::string Reference::full() const {
  std::string text = name();
  if (!tag.empty()) text += strCat(":", tag);
  if (!digest.empty()) text += strCat("@", digest);
  return text;
}

absl::StatusOr<Reference> parseNamed(std::string_view text) {
  const auto invalid = [&](std::string_view why) {
    return absl::InvalidArgumentError(
        strCat("\"", support::oneLine(text, 300), "\" is no image reference: ", why));
  };
  if (text.empty()) return absl::InvalidArgumentError("the image reference is empty");
  Reference reference;
  std::string_view rest = text;
  if (const size_t at = rest.find('@'); at != std::string_view::npos) {
    if (!isDigest(rest.substr(at + 1))) {
      return invalid(
          "its digest is neither sha256: and 64 nor sha512: and 128 lowercase hexadecimal digits");
    }
    reference.digest = rest.substr(at + 1);
    rest = rest.substr(0, at);
  }
  const size_t slash = rest.rfind('/');
  const size_t colon = rest.rfind(':');
  if (colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash)) {
    if (!isTag(rest.substr(colon + 1))) return invalid("its tag has a wrong form");
    reference.tag = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
  }
  if (namesRegistry(rest)) {
    const size_t first = rest.find('/');
    if (!isRegistry(rest.substr(0, first))) return invalid("its registry is no host and port");
    reference.registry = lowerCase(rest.substr(0, first));
    reference.repository = rest.substr(first + 1);
  } else {
    reference.registry = kDefaultRegistry;
    reference.repository = rest;
  }
  if (reference.registry == "index.docker.io") reference.registry = kDefaultRegistry;
  if (reference.registry == kDefaultRegistry &&
      reference.repository.find('/') == std::string::npos) {
    reference.repository = strCat(kOfficial, reference.repository);
  }
  if (!isRepository(reference.repository)) {
    return invalid("its repository must be lowercase letters, digits and separators");
  }
  if (reference.name().size() > kMaxName) return invalid("its name is longer than 255 characters");
  return reference;
}

absl::StatusOr<Reference> parseReference(std::string_view text) {
  BERTH_ASSIGN_OR_RETURN(Reference reference, parseNamed(text));
  if (reference.tag.empty() && reference.digest.empty()) reference.tag = "latest";
  return reference;
}

}  // namespace berth::images
