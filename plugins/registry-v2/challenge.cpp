#include "challenge.hpp"

#include <algorithm>

#include "text.hpp"

namespace berth::registry {
namespace {

constexpr size_t kParameterLimit = 64;

bool isTokenCharacter(char c) {
  constexpr std::string_view kPunctuation = "!#$%&'*+-.^_`|~";
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         kPunctuation.find(c) != std::string_view::npos;
}

// Reads the header from left to right; each function leaves the position behind what it took.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  bool atEnd() const { return position_ == text_.size(); }
  bool take(char c) {
    if (atEnd() || text_[position_] != c) return false;
    ++position_;
    return true;
  }
  // Whether the token just read can be a scheme: a space, a comma or the end follows.
  bool atScheme() const {
    return atEnd() || text_[position_] == ' ' || text_[position_] == '\t' ||
           text_[position_] == ',';
  }
  void skipSpace() {
    while (take(' ') || take('\t')) {
    }
  }
  // Empty list elements are allowed: ", ,".
  void skipCommas() {
    do {
      skipSpace();
    } while (take(','));
  }
  std::string token() {
    const size_t start = position_;
    while (!atEnd() && isTokenCharacter(text_[position_])) ++position_;
    return std::string(text_.substr(start, position_ - start));
  }
  bool quoted(std::string& out) {
    if (!take('"')) return false;
    while (!atEnd()) {
      const char c = text_[position_++];
      if (c == '"') return true;
      if (c == '\\') {
        if (atEnd()) return false;
        out.push_back(text_[position_++]);
      } else {
        out.push_back(c);
      }
    }
    return false;
  }
  // "name = value"; takes nothing when the next thing is no parameter, as another scheme is.
  bool parameter(std::pair<std::string, std::string>& out) {
    const size_t start = position_;
    std::string name = token();
    skipSpace();
    std::string value;
    const bool named = !name.empty() && take('=');
    if (named) skipSpace();
    const bool valued = named && (quoted(value) || !(value = token()).empty());
    if (!valued) {
      position_ = start;
      return false;
    }
    out = {lowerAscii(name), std::move(value)};
    return true;
  }
  // The token68 form carries opaque data of schemes that registries do not use: passed over.
  void skipToken68() {
    const size_t start = position_;
    while (!atEnd() && (isTokenCharacter(text_[position_]) || text_[position_] == '/')) ++position_;
    while (take('=')) {
    }
    skipSpace();
    if (position_ > start && !atEnd() && text_[position_] != ',') position_ = start;
  }

 private:
  std::string_view text_;
  size_t position_ = 0;
};

void readParameters(Scanner& scanner, Challenge& challenge) {
  std::pair<std::string, std::string> parameter;
  if (!scanner.parameter(parameter)) {
    scanner.skipToken68();
    return;
  }
  do {
    if (challenge.parameters.size() < kParameterLimit)
      challenge.parameters.push_back(std::move(parameter));
    scanner.skipCommas();
  } while (scanner.parameter(parameter));
}

}  // namespace

std::string_view Challenge::parameter(std::string_view name) const {
  const auto found = std::find_if(parameters.begin(), parameters.end(),
                                  [&](const auto& entry) { return entry.first == name; });
  return found == parameters.end() ? std::string_view() : std::string_view(found->second);
}

std::vector<Challenge> parseChallenges(std::string_view header) {
  std::vector<Challenge> result;
  Scanner scanner(header);
  while (true) {
    scanner.skipCommas();
    Challenge challenge;
    challenge.scheme = lowerAscii(scanner.token());
    if (challenge.scheme.empty()) return result;
    if (!scanner.atScheme()) return result;
    scanner.skipSpace();
    readParameters(scanner, challenge);
    result.push_back(std::move(challenge));
  }
}

}  // namespace berth::registry
