// Takes the place of berth-plugin-host and lies to the host; the last part of the plugin's path
// says how.
#include <cstring>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include "isolation/calls.hpp"
#include "isolation/channel.hpp"
#include "isolation/description.hpp"

namespace berth::isolation {
namespace {

// Of the process. Written while it is alone.
std::string path;
Channel control{support::Fd(kControlDescriptor)};
std::vector<std::unique_ptr<Channel>> hostChannels;

bool is(std::string_view lie) {
  return path.ends_with("/" + std::string(lie));
}

// As a channel writes it.
struct Header {
  uint32_t size;
  Kind kind;
  uint16_t number;
  uint32_t descriptors;
};
std::string headed(const Header& header, std::string_view content = {}) {
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
  return bytes.append(content);
}

// With so many descriptors, whatever the bytes say of them. A host that does not read has ended the
// channel.
void write(const Channel& channel, std::string_view bytes, size_t descriptors = 0) {
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  const std::vector<int> fds(descriptors, kControlDescriptor);
  std::string room(CMSG_SPACE(descriptors * sizeof(int)), '\0');
  if (descriptors > 0) {
    message.msg_control = room.data();
    message.msg_controllen = room.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors * sizeof(int));
    std::memcpy(CMSG_DATA(header), fds.data(), descriptors * sizeof(int));
  }
  if (::sendmsg(channel.fd(), &message, MSG_NOSIGNAL) < 0) ::_exit(4);
}

template <class... T>
std::string numbers(T... values) {
  Encoder out;
  (out.raw(values), ...);
  return std::string(out.bytes());
}
std::string texts(std::initializer_list<std::string_view> values) {
  Encoder out;
  for (const std::string_view value : values) out.text(value);
  return std::string(out.bytes());
}
const std::string kGarbage(100'000, '\xA5');
constexpr uint64_t kEndlessText = uint64_t{1} << 60;

std::string returned(berth_code code = BERTH_OK, std::string_view message = {}) {
  return numbers(Outcome::kReturned, code) + texts({message});
}
// Of a call that gives a descriptor: whether there is one comes before the message.
std::string connected(berth_code code, uint8_t there) {
  return numbers(Outcome::kReturned, code, there) + texts({"nobody listens"});
}

// A function of the receiver that is this argument of the call.
constexpr uint16_t callback(size_t argument, size_t place) {
  return static_cast<uint16_t>(argument << 8 | place);
}
constexpr uint16_t kAddAddress = callback(3, kPlace<&berth_network_builder::add_address>);
constexpr uint16_t kSetState = callback(3, kPlace<&berth_network_builder::set_state>);

enum class On { kCall, kControl, kHost };

// One frame in place of the answer to a call.
struct Lie {
  Kind kind = Kind::kReply;
  std::string bytes = {};
  std::optional<uint16_t> number = std::nullopt;  // none: that of the call
  uint32_t said = 0;                              // descriptors, by the header …
  size_t sent = 0;                                // … and in truth
  On channel = On::kCall;
};

// Callbacks are those of `attach`, whose fourth argument is a builder, or of `fetch`.
std::map<std::string_view, Lie> lies() {
  return {
      {"empty", {}},
      {"cut", {.bytes = numbers(uint64_t{0})}},
      {"text-size", {.bytes = numbers(Outcome::kReturned, int32_t{13}, kEndlessText)}},
      {"more", {.bytes = returned() + "x"}},
      {"large", {.bytes = returned(BERTH_INTERNAL, std::string(2u << 20, 'x'))}},
      {"outcome", {.bytes = numbers(uint8_t{9}, int32_t{0}) + texts({""})}},
      {"threw-more", {.bytes = numbers(Outcome::kThrew, int32_t{0})}},
      {"other", {.bytes = returned(), .number = 0x101}},

      {"no-descriptor", {.bytes = returned(), .said = 1}},
      {"descriptor-count", {.bytes = returned(), .said = UINT32_MAX}},
      {"descriptor", {.bytes = returned(), .said = 1, .sent = 1}},
      {"surplus-descriptors", {.bytes = returned(), .sent = 3}},
      {"truncated-descriptors", {.kind = Kind::kStage, .bytes = texts({"on"}), .sent = 200}},
      {"stage-descriptor", {.kind = Kind::kStage, .bytes = texts({"on"}), .said = 1, .sent = 1}},

      {"stage", {.kind = Kind::kStage}},
      {"stage-more", {.kind = Kind::kStage, .bytes = texts({"on", "and on"})}},
      {"progress", {.kind = Kind::kProgress, .bytes = numbers(uint64_t{1})}},
      {"log", {.kind = Kind::kLog, .bytes = numbers(uint64_t{1})}},
      {"event", {.kind = Kind::kEvent}},
      {"kind", {.kind = static_cast<Kind>(999)}},
      {"loaded", {.kind = Kind::kLoaded, .bytes = returned()}},
      {"call", {.kind = Kind::kCall}},
      {"save-state", {.kind = Kind::kSaveState, .bytes = texts({"pod-1", "state"})}},

      {"no-argument", {.kind = Kind::kCallback, .bytes = texts({"a"}), .number = callback(200, 0)}},
      {"no-receiver", {.kind = Kind::kCallback, .bytes = texts({"a"}), .number = callback(1, 0)}},
      {"no-function", {.kind = Kind::kCallback, .bytes = texts({"a"}), .number = callback(3, 99)}},
      {"callback-cut", {.kind = Kind::kCallback, .number = kAddAddress}},
      {"callback-text-size",
       {.kind = Kind::kCallback, .bytes = numbers(kEndlessText), .number = kAddAddress}},
      {"callback-more",
       {.kind = Kind::kCallback, .bytes = texts({"192.0.2.1", "x"}), .number = kAddAddress}},

      {"control-garbage", {.bytes = kGarbage, .channel = On::kControl}},
      {"control-kind", {.bytes = returned(), .channel = On::kControl}},
      {"control-log", {.kind = Kind::kLog, .bytes = numbers(0), .channel = On::kControl}},
      {"control-event", {.kind = Kind::kEvent, .channel = On::kControl}},
      {"control-descriptor",
       {.kind = Kind::kLog,
        .bytes = numbers(int32_t{BERTH_LOG_INFO}) + texts({"with a descriptor", ""}),
        .said = 1,
        .sent = 1,
        .channel = On::kControl}},

      {"host-kind", {.bytes = returned(), .channel = On::kHost}},
      {"host-state", {.kind = Kind::kSaveState, .bytes = texts({"pod-1"}), .channel = On::kHost}},
      {"host-credentials", {.kind = Kind::kCredentials, .channel = On::kHost}},
      {"host-descriptor",
       {.kind = Kind::kSaveState,
        .bytes = texts({"pod-1", "state"}),
        .said = 2,
        .sent = 2,
        .channel = On::kHost}},

      // Of `connect` of port forwarding.
      {"socket-none", {.bytes = connected(BERTH_OK, 0)}},
      {"socket-missing", {.bytes = connected(BERTH_OK, 1)}},
      {"socket-two", {.bytes = connected(BERTH_OK, 1), .said = 2, .sent = 2}},
      {"socket-and-failure", {.bytes = connected(BERTH_NOT_FOUND, 1), .said = 1, .sent = 1}},
  };
}

// Lies that are more than a frame; false: it is none of them.
bool answerAtLength(Channel& to, uint16_t number) {
  const std::string reply =
      headed({static_cast<uint32_t>(returned().size()), Kind::kReply, number, 0}, returned());
  Encoder state;
  state.text(std::string(16u << 20, 'x'));
  Encoder stage;
  stage.text("on and on");
  if (is("exit")) {
    ::_exit(3);
  } else if (is("close")) {
    to.shutDown();
  } else if (is("garbage")) {
    write(to, kGarbage);
  } else if (is("huge")) {
    write(to, headed({UINT32_MAX, Kind::kReply, number, 0}));
  } else if (is("twice")) {
    write(to, reply + reply);
  } else if (is("reply-and-half")) {
    write(to, reply + "half");
  } else if (is("many-descriptors")) {
    for (int i = 0; i < 8; ++i) write(to, headed({9, Kind::kStage, 0, 0}, texts({"x"})), 8);
  } else if (is("flood")) {
    while (to.send(Kind::kCallback, kSetState, state).ok()) continue;
  } else if (is("refused")) {
    Encoder piece;
    piece.text("piece");
    while (to.send(Kind::kCallback, callback(5, 0), piece).ok() && to.receive().ok()) continue;
  } else if (is("control-half")) {
    write(control, headed({100, Kind::kLog, 0, 0}, "half"));
    ::_exit(3);
  } else if (is("host-garbage")) {
    write(*hostChannels[0], kGarbage);
  } else if (is("half")) {
    write(to, headed({100, Kind::kReply, number, 0}, "half"));
  } else if (is("endless")) {
    while (to.send(Kind::kStage, 0, stage).ok())
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
  } else if (is("late")) {
    to.send(Kind::kStage, 0, stage).IgnoreError();
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    write(to, reply);
  } else {
    return is("silent");
  }
  return true;
}

void lie(Channel& to, uint16_t number) {
  if (answerAtLength(to, number)) return;
  const auto all = lies();
  const auto found = all.find(std::string_view(path).substr(path.rfind('/') + 1));
  if (found == all.end()) return write(to, headed({9, Kind::kReply, number, 0}, "no lie!!!"));
  const Lie& lie = found->second;
  const Header header{static_cast<uint32_t>(lie.bytes.size()), lie.kind,
                      lie.number.value_or(number), lie.said};
  const Channel& channel = lie.channel == On::kControl ? control
                           : lie.channel == On::kHost  ? *hostChannels[0]
                                                       : to;
  write(channel, headed(header, lie.bytes), lie.sent);
}

// What comes before the call that is lied to goes well, but for lies about it.
std::optional<std::string> truth(Channel& channel, const Frame& call) {
  if (call.kind == Kind::kCreate && is("create-outcome"))
    return numbers(uint8_t{9}, int32_t{0}) + texts({""});
  if (call.kind == Kind::kCreate && is("create-cut")) return numbers(uint8_t{0});
  if (call.kind == Kind::kExtension) {
    const bool connects =
        std::string_view(BERTH_EXTENSION_PORT_FORWARD) == kExtensions[call.number] &&
        path.find("/socket-") != std::string::npos;
    if (is("table-cut")) return numbers(Outcome::kReturned, uint8_t{1});
    if (!connects) return numbers(Outcome::kReturned, uint8_t{0});
    return numbers(Outcome::kReturned, uint8_t{1}, uint64_t{1});
  }
  if (call.kind == Kind::kCreate || call.number >> 8 == 0) {
    if (call.number == kNumber<&berth_plugin::configure> && is("configure-cut"))
      return numbers(uint8_t{0});
    if (call.number == kNumber<&berth_plugin::stop>)
      write(control, headed({0, Kind::kStopped, 0, 0}));
    const bool hasResult = call.kind == Kind::kCreate ||
                           call.number == kNumber<&berth_plugin::configure> ||
                           call.number == kNumber<&berth_plugin::start>;
    return hasResult ? returned() : numbers(Outcome::kReturned);
  }
  if (call.number != kNumber<&berth_runtime::features>) return std::nullopt;
  const Encoder document = [] {
    Encoder out;
    out.text("{}");
    return out;
  }();
  channel.send(Kind::kCallback, callback(1, 0), document).IgnoreError();
  if (!channel.receive().ok()) ::_exit(5);
  return returned();
}

void serve(support::Fd socket) {
  Channel channel(std::move(socket));
  for (;;) {
    const absl::StatusOr<Frame> call = channel.receive();
    if (!call.ok()) return;
    if (const auto reply = truth(channel, *call); reply.has_value()) {
      write(channel,
            headed({static_cast<uint32_t>(reply->size()), Kind::kReply, call->number, 0}, *reply));
    } else {
      lie(channel, call->number);
    }
  }
}

// "changed": by the second process it is another plugin.
bool isTheSecond() {
  struct stat there {};
  if (!is("changed")) return false;
  if (::stat(path.c_str(), &there) == 0) return true;
  return ::mkdir(path.c_str(), 0700) != 0;
}

Description describe(const LoadRequest& request) {
  Description made{.abiMajor = BERTH_ABI_MAJOR,
                   .abiMinor = BERTH_ABI_MINOR,
                   .requiredMinor = 0,
                   .threading = BERTH_THREADING_PARALLEL,
                   .name = isTheSecond() ? "another" : "liar",
                   .version = "1.0.0",
                   .summary = "lies",
                   .interfaceId = request.interfaceId,
                   .options = is("options") ? "[{]" : "[]",
                   .extends = true};
  if (is("major")) made.abiMajor = 7;
  if (is("minor")) made.requiredMinor = UINT32_MAX;
  if (is("threading")) made.threading = 99;
  if (is("interface")) made.interfaceId = "berth.liar/1";
  if (is("name")) made.name.clear();
  if (is("text")) made.summary = "\xC3";
  return made;
}

void load() {
  absl::StatusOr<Frame> frame = control.receive();
  if (!frame.ok()) ::_exit(1);
  Decoder in(frame->bytes, frame->descriptors);
  LoadRequest request;
  decode(in, request);
  path = request.path;
  for (size_t i = 0; i < kHostChannels; ++i)
    hostChannels.push_back(std::make_unique<Channel>(in.takeDescriptor()));
  if (is("load-exit")) ::_exit(3);
  if (is("load-close")) return control.shutDown();
  if (is("load-garbage")) return write(control, kGarbage);
  if (is("load-half")) {
    write(control, headed({100, Kind::kLoaded, 0, 0}, "half"));
    ::_exit(3);
  }
  Encoder out;
  out.raw(is("load-code") ? berth_code{77} : berth_code{BERTH_OK});
  out.text("");
  encode(out, describe(request));
  std::string bytes(out.bytes());
  if (is("load-cut")) bytes.pop_back();
  if (is("load-more")) bytes += "x";
  if (is("load-text-size")) bytes = numbers(int32_t{BERTH_INTERNAL}, kEndlessText);
  const Kind kind = is("load-kind") ? Kind::kReply : Kind::kLoaded;
  const size_t descriptors = is("load-descriptor") ? 1 : 0;
  write(control,
        headed({static_cast<uint32_t>(bytes.size()), kind, 0, uint32_t(descriptors)}, bytes),
        descriptors);
}

int run() {
  load();
  for (;;) {
    absl::StatusOr<Frame> frame = control.receive();
    // What ends one that stays is up to the host.
    while (!frame.ok() && is("stay")) ::pause();
    if (!frame.ok() || frame->descriptors.empty()) ::_exit(0);
    std::thread(serve, std::move(frame->descriptors[0])).detach();
  }
}

}  // namespace
}  // namespace berth::isolation

int main() {
  return berth::isolation::run();
}
