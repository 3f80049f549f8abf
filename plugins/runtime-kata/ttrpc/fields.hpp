// Protocol buffers' wire format (protobuf.dev, "Encoding"), as far as it is needed where the
// library is not: fields of varints and of bytes. No exceptions, nothing beyond libstdc++.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace berth::kata::ttrpc {

// Goes through the fields of a message. Unknown ones are for the caller to skip; groups, which
// nobody writes any more, are a fault.
class FieldReader {
 public:
  explicit FieldReader(std::string_view message) : rest_(message) {}

  // False at the end and at a fault, which failed() tells apart.
  bool next();
  uint32_t number() const { return number_; }
  // The field's value when it is a number (varint or fixed), else 0.
  uint64_t value() const { return value_; }
  // Its bytes when it has any, else empty; they lie in the message.
  std::string_view bytes() const { return bytes_; }
  bool failed() const { return failed_; }

 private:
  bool varint(uint64_t& value);
  bool fixed(size_t size);
  bool fail();

  std::string_view rest_;
  std::string_view bytes_;
  uint64_t value_ = 0;
  uint32_t number_ = 0;
  bool failed_ = false;
};

// Appends fields to a message. Those with the default value, 0 or nothing, are left out, as proto3
// does it.
class FieldWriter {
 public:
  explicit FieldWriter(std::string& message) : message_(message) {}

  void number(uint32_t field, uint64_t value);
  void bytes(uint32_t field, std::string_view value);
  // Written when it is empty, too: an element of a list, or a message that is there.
  void element(uint32_t field, std::string_view value);

 private:
  void varint(uint64_t value);

  std::string& message_;
};

}  // namespace berth::kata::ttrpc
