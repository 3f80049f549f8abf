#include "conf_template.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <map>

#include "berth/support/status.hpp"

namespace berth::cni {
namespace {

using support::strCat;

constexpr std::string_view kSpace = " \t\r\n";

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

// A piece of the template: text, or what stands between the braces.
struct Token {
  enum class Kind { kText, kAction } kind;
  std::string_view text;
  size_t line;
};

absl::StatusOr<std::vector<Token>> tokenise(std::string_view text) {
  std::vector<Token> tokens;
  size_t line = 1;
  bool trimNext = false;
  while (!text.empty()) {
    const size_t open = text.find("{{");
    std::string_view plain = text.substr(0, open);
    const auto lines = static_cast<size_t>(std::count(plain.begin(), plain.end(), '\n'));
    const bool trimBefore = open != std::string_view::npos && text.substr(open).starts_with("{{- ");
    if (trimNext) plain.remove_prefix(std::min(plain.find_first_not_of(kSpace), plain.size()));
    if (trimBefore) plain = plain.substr(0, plain.find_last_not_of(kSpace) + 1);
    if (!plain.empty()) tokens.push_back({Token::Kind::kText, plain, line});
    line += lines;
    if (open == std::string_view::npos) break;
    const size_t close = text.find("}}", open);
    if (close == std::string_view::npos)
      return absl::InvalidArgumentError(strCat("line ", line, ": {{ without }}"));
    std::string_view action = text.substr(open + 2, close - open - 2);
    text.remove_prefix(close + 2);
    const auto inAction = static_cast<size_t>(std::count(action.begin(), action.end(), '\n'));
    if (trimBefore) action.remove_prefix(1);
    trimNext = action.ends_with(" -");
    if (trimNext) action.remove_suffix(1);
    tokens.push_back({Token::Kind::kAction, trimmed(action), line});
    line += inAction;
  }
  return tokens;
}

struct Value {
  std::string text;
  bool isTrue = false;
};

class Renderer {
 public:
  Renderer(const std::vector<Token>& tokens, const PodCidrValues& values)
      : tokens_(tokens), values_(values) {}

  absl::StatusOr<std::string> render() {
    BERTH_ASSIGN_OR_RETURN(const std::string_view ended, block(Output::kOn));
    if (!ended.empty()) return fail(tokens_[at_ - 1], strCat("{{", ended, "}} without a start"));
    return std::move(out_);
  }

 private:
  enum class Output { kOn, kOff };
  using Scope = std::map<std::string, Value, std::less<>>;

  static absl::Status fail(const Token& token, std::string_view reason) {
    return absl::InvalidArgumentError(strCat("line ", token.line, ": ", reason));
  }

  // Up to the "end" or "else" that closes the block, which is returned; empty: the end of the text.
  absl::StatusOr<std::string_view> block(Output output) {
    while (at_ < tokens_.size()) {
      const Token& token = tokens_[at_++];
      if (token.kind == Token::Kind::kText) {
        if (output == Output::kOn) out_ += token.text;
      } else if (token.text == "end" || token.text == "else") {
        return token.text;
      } else if (token.text.starts_with("range ")) {
        BERTH_RETURN_IF_ERROR(range(token, output));
      } else if (token.text.starts_with("if ")) {
        BERTH_RETURN_IF_ERROR(condition(token, output));
      } else if (!(token.text.starts_with("/*") && token.text.ends_with("*/"))) {
        BERTH_ASSIGN_OR_RETURN(const Value value, evaluate(token, token.text));
        if (output == Output::kOn) out_ += value.text;
      }
    }
    return std::string_view();
  }

  absl::Status expectEnd(const Token& start, const absl::StatusOr<std::string_view>& ended) {
    BERTH_RETURN_IF_ERROR(ended.status());
    return *ended == "end" ? absl::OkStatus()
                           : fail(start, strCat("{{", start.text, "}} without {{end}}"));
  }

  absl::Status range(const Token& token, Output output) {
    std::string_view index;
    std::string_view item;
    std::string_view source = trimmed(token.text.substr(6));
    if (const size_t assign = source.find(":="); assign != std::string_view::npos) {
      const std::string_view names = source.substr(0, assign);
      const size_t comma = names.find(',');
      if (comma != std::string_view::npos) index = trimmed(names.substr(0, comma));
      item = trimmed(comma == std::string_view::npos ? names : names.substr(comma + 1));
      source = trimmed(source.substr(assign + 2));
    }
    const std::vector<std::string>* list = source == ".PodCIDRRanges" ? &values_.ranges
                                           : source == ".Routes"      ? &values_.routes
                                                                      : nullptr;
    if (list == nullptr)
      return fail(token, strCat("range over \"", source, "\": only .PodCIDRRanges and .Routes"));
    const size_t start = at_;
    const Scope outer = scope_;
    if (list->empty() || output == Output::kOff) {
      // Read through once, for its names and its end.
      if (!index.empty()) scope_.insert_or_assign(std::string(index), Value{});
      if (!item.empty()) scope_.insert_or_assign(std::string(item), Value{});
      scope_.insert_or_assign(".", Value{});
      BERTH_RETURN_IF_ERROR(expectEnd(token, block(Output::kOff)));
    }
    for (size_t i = 0; i < list->size() && output == Output::kOn; ++i) {
      at_ = start;
      const Value value{(*list)[i], true};
      if (!index.empty()) scope_.insert_or_assign(std::string(index), Value{strCat(i), i != 0});
      if (!item.empty()) scope_.insert_or_assign(std::string(item), value);
      scope_.insert_or_assign(".", value);
      BERTH_RETURN_IF_ERROR(expectEnd(token, block(Output::kOn)));
    }
    scope_ = outer;
    return absl::OkStatus();
  }

  absl::Status condition(const Token& token, Output output) {
    BERTH_ASSIGN_OR_RETURN(const Value value, evaluate(token, trimmed(token.text.substr(3))));
    const auto when = [&](bool chosen) {
      return output == Output::kOn && chosen ? Output::kOn : Output::kOff;
    };
    BERTH_ASSIGN_OR_RETURN(const std::string_view ended, block(when(value.isTrue)));
    if (ended == "else") return expectEnd(token, block(when(!value.isTrue)));
    return expectEnd(token, ended);
  }

  absl::StatusOr<Value> evaluate(const Token& token, std::string_view name) const {
    if (name == ".PodCIDR") {
      const std::string first = values_.ranges.empty() ? std::string() : values_.ranges.front();
      return Value{first, !first.empty()};
    }
    if (name == ".PodCIDRRanges") return Value{{}, !values_.ranges.empty()};
    if (name == ".Routes") return Value{{}, !values_.routes.empty()};
    const auto found = scope_.find(name);
    if (found == scope_.end()) return fail(token, strCat("{{", name, "}} is not understood"));
    return found->second;
  }

  const std::vector<Token>& tokens_;
  const PodCidrValues& values_;
  size_t at_ = 0;
  Scope scope_;
  std::string out_;
};

// 4 or 6, or 0 when it is no range.
int familyOf(const std::string& cidr) {
  const size_t slash = cidr.find('/');
  if (slash == std::string::npos) return 0;
  const std::string address = cidr.substr(0, slash);
  const char* const end = cidr.data() + cidr.size();
  int length = -1;
  const auto [at, error] = std::from_chars(cidr.data() + slash + 1, end, length);
  if (error != std::errc() || at != end || length < 0) return 0;
  in6_addr ignored = {};
  if (::inet_pton(AF_INET, address.c_str(), &ignored) == 1) return length <= 32 ? 4 : 0;
  if (::inet_pton(AF_INET6, address.c_str(), &ignored) == 1) return length <= 128 ? 6 : 0;
  return 0;
}

}  // namespace

absl::StatusOr<PodCidrValues> parsePodCidr(std::string_view cidrs) {
  PodCidrValues values;
  bool hasIpv4 = false;
  bool hasIpv6 = false;
  for (;;) {
    const size_t comma = cidrs.find(',');
    const std::string one(trimmed(cidrs.substr(0, comma)));
    const int family = familyOf(one);
    if (family == 0)
      return absl::InvalidArgumentError(
          strCat("pod CIDR \"", one, "\" is no range such as 10.0.0.0/24 or fd00::/64"));
    (family == 4 ? hasIpv4 : hasIpv6) = true;
    values.ranges.push_back(one);
    if (comma == std::string_view::npos) break;
    cidrs.remove_prefix(comma + 1);
  }
  if (hasIpv4) values.routes.emplace_back("0.0.0.0/0");
  if (hasIpv6) values.routes.emplace_back("::/0");
  return values;
}

absl::StatusOr<std::string> renderTemplate(std::string_view text, const PodCidrValues& values) {
  BERTH_ASSIGN_OR_RETURN(const std::vector<Token> tokens, tokenise(text));
  return Renderer(tokens, values).render();
}

}  // namespace berth::cni
