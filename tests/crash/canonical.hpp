// The names of points: the same in each run, whatever numbers and identifiers there are in it.
#pragma once

#include <cstddef>
#include <cstring>

namespace berth::crash {

// Longest name, with its end.
constexpr size_t kNameSize = 232;
// Identifiers, digests and random names have at least this many hexadecimal digits.
constexpr size_t kShortestId = 8;

inline bool isDigit(char letter) {
  return letter >= '0' && letter <= '9';
}
inline bool isHex(char letter) {
  return isDigit(letter) || (letter >= 'a' && letter <= 'f');
}
inline bool isWord(char letter) {
  return isDigit(letter) || (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z');
}

// A name that is being written; what does not fit is cut off. Allocates nothing.
class Name {
 public:
  void add(char letter) {
    if (length_ + 1 < kNameSize) text_[length_++] = letter;
  }
  void add(const char* text) {
    for (; *text != '\0'; ++text) add(*text);
  }

  // Adds `text` with N for each number, ID for each identifier (a prefix stays: vethID), and BED
  // for the test bed's folder.
  void addCanonical(const char* text) {
    static constexpr char kBed[] = "berth-test-";
    while (*text != '\0') {
      if (strncmp(text, kBed, sizeof kBed - 1) == 0) {
        add("BED");
        while (*text != '\0' && *text != '/') ++text;
      } else if (isWord(*text)) {
        text = addWord(text);
      } else {
        // Tab and newline separate what a trace has.
        add(*text == '\t' || *text == '\n' ? ' ' : *text);
        ++text;
      }
    }
  }

  const char* text() {
    text_[length_] = '\0';
    return text_;
  }
  size_t length() const { return length_; }

 private:
  const char* addWord(const char* text) {
    const char* end = text;
    while (isWord(*end)) ++end;
    const char* digits = end;
    bool numbers = false;
    bool letters = false;
    while (digits > text && isHex(digits[-1])) {
      --digits;
      (isDigit(*digits) ? numbers : letters) = true;
    }
    // Some identifiers have no letters by chance.
    if (digits == text && numbers && !letters && static_cast<size_t>(end - text) < kShortestId) {
      add('N');
      return end;
    }
    const bool id = numbers && static_cast<size_t>(end - digits) >= kShortestId;
    for (const char* at = text; at < (id ? digits : end); ++at) add(*at);
    if (id) add("ID");
    return end;
  }

  char text_[kNameSize];
  size_t length_ = 0;
};

}  // namespace berth::crash
