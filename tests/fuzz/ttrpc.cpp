// What shims send: ttrpc's frames, and the messages in them.
#include "target.hpp"
#include "ttrpc/fields.hpp"
#include "ttrpc/frame.hpp"
#include "ttrpc/message.hpp"

namespace berth::fuzz {

using namespace kata::ttrpc;

namespace {

class Sink final : public FrameSink {
 public:
  void onFrame(const FrameHeader& header, std::string_view data) override {
    demand(header.length == data.size() && data.size() <= kMaxData, "a frame is whole and bounded");
    log += encodeFrame(header.stream, header.type, data, header.flags);
    check<Request>(data);
    check<Response>(data);
  }
  void onOversized(const FrameHeader& header) override {
    demand(header.length > kMaxData, "only what is too large is skipped");
    log += "too large";
  }

  std::string log;

 private:
  // What can be read can be written, and is then read as the same.
  template <typename T>
  static void check(std::string_view data) {
    T message;
    if (!decode(data, message)) return;
    const std::string written = encode(message);
    T again;
    demand(decode(written, again), "a message that is written can be read");
    demand(encode(again) == written, "and is the same then");
  }
};

void run(std::string_view input) {
  Sink whole;
  FrameReader(whole).push(input);
  Sink inPieces;
  FrameReader reader(inPieces);
  for (size_t at = 0, size = 1; at < input.size(); at += size, size = size * 3 % 17 + 1) {
    reader.push(input.substr(at, size));
  }
  demand(whole.log == inPieces.log, "frames do not depend on how they come");
  FieldReader fields(input);
  size_t held = 0;
  while (fields.next()) held += fields.bytes().size();
  demand(held <= input.size(), "fields lie in their message");
}

std::vector<std::string> seeds() {
  const Request request{.service = "containerd.task.v2.Task",
                        .method = "Wait",
                        .payload = "\x0a\x02id",
                        .timeoutNs = 1'000'000'000,
                        .metadata = {{"key", "value"}}};
  const Response response{.code = 5, .message = "not found", .payload = "p"};
  std::string large = encodeFrame(7, FrameType::kData, "", kNoData);
  large[0] = '\x7f';
  return {encodeFrame(1, FrameType::kRequest, encode(request)) +
              encodeFrame(3, FrameType::kRequest, encode(request), kRemoteOpen),
          encodeFrame(1, FrameType::kResponse, encode(response)),
          encodeFrame(1, FrameType::kResponse, ""), large, encode(request)};
}

}  // namespace

const Target kTtrpc{run, seeds};

}  // namespace berth::fuzz
