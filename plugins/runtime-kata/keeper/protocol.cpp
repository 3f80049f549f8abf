#include "protocol.hpp"

#include "../ttrpc/fields.hpp"

namespace berth::kata::keeper {

namespace {

using ttrpc::FieldReader;
using ttrpc::FieldWriter;

// Each message lists its fields once; writing and reading both go through that list.
struct Writing {
  FieldWriter writer;
  void text(uint32_t field, const std::string& value) { writer.bytes(field, value); }
  template <typename T>
  void number(uint32_t field, const T& value) {
    writer.number(field, static_cast<uint64_t>(value));
  }
};

struct Reading {
  FieldReader& reader;
  void text(uint32_t field, std::string& value) {
    if (reader.number() == field) value.assign(reader.bytes());
  }
  template <typename T>
  void number(uint32_t field, T& value) {
    if (reader.number() == field) value = static_cast<T>(reader.value());
  }
};

template <typename V, typename M>
void visitRequest(V& v, M& m) {
  v.number(1, m.operation);
  v.text(2, m.key);
  v.text(3, m.input);
  v.text(4, m.output);
  v.text(5, m.error);
  v.text(6, m.log);
  v.number(7, m.inputMode);
  v.number(8, m.descriptors);
  v.number(9, m.timeoutMs);
  v.number(10, m.awaitExit);
  v.number(11, m.bound);
  v.text(12, m.cgroup);
}

template <typename V, typename M>
void visitEntry(V& v, M& m) {
  v.text(1, m.key);
  v.number(2, m.inputEnded);
  v.number(3, m.oomKilled);
}

constexpr uint32_t kEntries = 3;
constexpr uint32_t kFiller = 7;
template <typename V, typename M>
void visitReply(V& v, M& m) {
  v.number(1, m.status.code);
  v.text(2, m.status.message);
  v.number(4, m.event);
  v.text(5, m.key);
  v.number(6, m.version);
}

}  // namespace

std::string encode(const Request& request) {
  std::string out;
  Writing writing{FieldWriter(out)};
  visitRequest(writing, request);
  return out;
}

std::string encode(const Reply& reply) {
  std::string out;
  Writing writing{FieldWriter(out)};
  visitReply(writing, reply);
  for (const Entry& entry : reply.entries) {
    std::string part;
    Writing inner{FieldWriter(part)};
    visitEntry(inner, entry);
    writing.writer.element(kEntries, part);
  }
  // An empty packet would read as the end of the connection.
  if (out.empty()) writing.writer.element(kFiller, {});
  return out;
}

bool decode(std::string_view packet, Request& request) {
  FieldReader reader(packet);
  Reading reading{reader};
  while (reader.next()) visitRequest(reading, request);
  return !reader.failed();
}

bool decode(std::string_view packet, Reply& reply) {
  FieldReader reader(packet);
  Reading reading{reader};
  while (reader.next()) {
    visitReply(reading, reply);
    if (reader.number() != kEntries) continue;
    reply.entries.emplace_back();
    FieldReader inner(reader.bytes());
    Reading part{inner};
    while (inner.next()) visitEntry(part, reply.entries.back());
    if (inner.failed()) return false;
  }
  return !reader.failed();
}

}  // namespace berth::kata::keeper
