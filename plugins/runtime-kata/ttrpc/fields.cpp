#include "fields.hpp"

namespace berth::kata::ttrpc {

namespace {

constexpr uint32_t kVarint = 0;
constexpr uint32_t kFixed64 = 1;
constexpr uint32_t kBytes = 2;
constexpr uint32_t kFixed32 = 5;
constexpr int kWireTypeBits = 3;
constexpr int kBitsOfByte = 7;
constexpr unsigned kMore = 0x80;
constexpr uint64_t kLargestNumber = (1u << 29) - 1;

}  // namespace

bool FieldReader::fail() {
  failed_ = true;
  rest_ = {};
  return false;
}

bool FieldReader::varint(uint64_t& value) {
  value = 0;
  for (int shift = 0; shift < 64; shift += kBitsOfByte) {
    if (rest_.empty()) return fail();
    const auto byte = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    // The tenth byte has room for one bit.
    if (shift == 63 && byte > 1) return fail();
    value |= uint64_t{byte & ~kMore} << shift;
    if ((byte & kMore) == 0) return true;
  }
  return fail();
}

bool FieldReader::fixed(size_t size) {
  if (rest_.size() < size) return fail();
  for (size_t i = size; i-- > 0;) {
    value_ = value_ << 8 | static_cast<unsigned char>(rest_[i]);
  }
  rest_.remove_prefix(size);
  return true;
}

bool FieldReader::next() {
  value_ = 0;
  bytes_ = {};
  if (failed_ || rest_.empty()) return false;
  uint64_t tag = 0;
  if (!varint(tag)) return false;
  const uint64_t number = tag >> kWireTypeBits;
  if (number == 0 || number > kLargestNumber) return fail();
  number_ = static_cast<uint32_t>(number);
  switch (tag & ((1u << kWireTypeBits) - 1)) {
    case kVarint:
      return varint(value_);
    case kFixed64:
      return fixed(8);
    case kFixed32:
      return fixed(4);
    case kBytes: {
      uint64_t length = 0;
      if (!varint(length)) return false;
      if (length > rest_.size()) return fail();
      bytes_ = rest_.substr(0, length);
      rest_.remove_prefix(length);
      return true;
    }
    default:
      return fail();
  }
}

void FieldWriter::varint(uint64_t value) {
  for (; value >= kMore; value >>= kBitsOfByte) {
    message_.push_back(static_cast<char>(value | kMore));
  }
  message_.push_back(static_cast<char>(value));
}

void FieldWriter::number(uint32_t field, uint64_t value) {
  if (value == 0) return;
  varint(uint64_t{field} << kWireTypeBits | kVarint);
  varint(value);
}

void FieldWriter::bytes(uint32_t field, std::string_view value) {
  if (!value.empty()) element(field, value);
}

void FieldWriter::element(uint32_t field, std::string_view value) {
  varint(uint64_t{field} << kWireTypeBits | kBytes);
  varint(value.size());
  message_.append(value);
}

}  // namespace berth::kata::ttrpc
