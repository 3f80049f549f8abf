// What the host reads of the process of a plugin: frames, callbacks and results.
#include <sys/socket.h>

#include "../unit/isolation/samples.hpp"
#include "isolation/channel.hpp"
#include "isolation/remote_instance.hpp"
#include "target.hpp"

namespace berth::fuzz {

using namespace isolation;

namespace {

// What can be read can be written, and is then read as the same.
template <class S>
void checkStruct(std::string_view input) {
  Decoder in(input);
  S value;
  decode(in, value);
  if (!in.finished()) return;
  Encoder once;
  encode(once, value);
  if (!once.descriptors().empty()) return;
  Decoder again(once.bytes());
  S same;
  decode(again, same);
  Encoder twice;
  encode(twice, same);
  demand(again.finished() && once.bytes() == twice.bytes(), "a struct is read as it was written");
}

// Frames come until one is none; the socket takes all of it at once.
void checkChannel(std::string_view input) {
  auto ends = socketPair();
  if (!ends.ok()) return;
  const std::string_view part = input.substr(0, 32u << 10);
  if (::send(ends->first.get(), part.data(), part.size(), MSG_DONTWAIT) < 0) return;
  ::shutdown(ends->first.get(), SHUT_WR);
  Channel channel(std::move(ends->second));
  size_t bytes = 0;
  for (auto frame = channel.receive(); frame.ok(); frame = channel.receive())
    bytes += frame->bytes.size();
  demand(bytes <= part.size(), "frames hold no more than was sent");
}

// Every function of a receiver; what they are given is whole.
template <class T>
void checkReceiver(T receiver, std::string_view input) {
  for (size_t place = 0; place < 4; ++place) {
    Decoder in(input);
    Encoder answer;
    bool answered = false;
    const bool understood = callReceiver(&receiver, place, in, answer, answered);
    demand(!understood || in.finished(), "what is called has been read to its end");
    demand(!answered || understood, "what is not understood has no answer");
  }
}

void touch(berth_str text) {
  const std::string owned = copy(text);
  demand(owned.size() == text.size, "a text is whole");
}

void checkCalls(std::string_view input) {
  berth_stats_sink stats{};
  stats.add = [](berth_stats_sink*, const berth_stats* given) {
    if (given == nullptr) return;
    touch(given->id);
    for (size_t i = 0; i < given->interface_count; ++i) touch(given->interfaces[i].name);
    for (size_t i = 0; i < given->disk_count; ++i) touch(given->disks[i].device);
  };
  checkReceiver(stats, input);
  berth_resolve_builder resolve{};
  resolve.set = [](berth_resolve_builder*, const berth_descriptor* given, berth_bytes document) {
    touch({static_cast<const char*>(document.data), document.size});
    if (given == nullptr) return;
    for (size_t i = 0; i < given->url_count; ++i) touch(given->urls[i]);
  };
  checkReceiver(resolve, input);
  berth_sink sink{};
  sink.write = [](berth_sink*, const void* data, size_t length) -> berth_code {
    touch({static_cast<const char*>(data), length});
    return BERTH_OK;
  };
  checkReceiver(sink, input);

  berth_container_status status{};
  status.size = sizeof status;
  Decoder in(input);
  decodeResults<&berth_runtime::container_start>(in, {nullptr, nullptr, {}, {}, &status, nullptr});
  touch(status.id);
  int32_t socket = -1;
  Decoder given(input);
  decodeResults<&berth_runtime_port_forward::connect>(given,
                                                      {nullptr, nullptr, {}, 80, &socket, nullptr});
  demand(socket == -1, "a descriptor that did not come is none");
}

void run(std::string_view input) {
  isolation::testing::forEachStruct([&]<class S>(std::type_identity<S>) { checkStruct<S>(input); });
  checkChannel(input);
  checkCalls(input);
}

std::vector<std::string> seeds() {
  std::vector<std::string> all;
  isolation::testing::forEachStruct([&]<class S>(std::type_identity<S>) {
    isolation::testing::Samples samples;
    Encoder out;
    encode(out, samples.make<S>());
    all.emplace_back(out.bytes());
  });
  // Two frames: a callback that hands back a layer, and a reply.
  const std::string text = all.front();
  Encoder frames;
  for (const Kind kind : {Kind::kCallback, Kind::kReply}) {
    frames.raw(static_cast<uint32_t>(text.size()));
    frames.raw(kind);
    frames.raw(uint16_t{0x0300});
    frames.raw(uint32_t{0});
    frames.append(text);
  }
  all.emplace_back(frames.bytes());
  return all;
}

}  // namespace

const Target kIsolation{run, seeds};

}  // namespace berth::fuzz
