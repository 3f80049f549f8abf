// The monitor's protocol, byte by byte.
#include <sys/socket.h>
#include <sys/un.h>

#include "pod_fixture.hpp"

namespace berth::runc {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class RawProtocol : public PodFixture {
 protected:
  void connectRaw() {
    raw_.reset(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    snprintf(address.sun_path, sizeof address.sun_path, "%s/sock", runDir().c_str());
    ASSERT_EQ(connect(raw_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  void sendRaw(const std::string& frame) {
    ASSERT_EQ(send(raw_.get(), frame.data(), frame.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(frame.size()));
  }
  // Empty at the end of the connection.
  std::string receiveRaw() {
    std::string frame(protocol::kMaxFrame, '\0');
    const ssize_t size = recv(raw_.get(), frame.data(), frame.size(), 0);
    frame.resize(size > 0 ? static_cast<size_t>(size) : 0);
    return frame;
  }
  protocol::Result receiveResult() {
    const std::string frame = receiveRaw();
    protocol::Header header;
    std::string_view fields;
    protocol::PlainReply reply;
    EXPECT_FALSE(protocol::decodeHeader(frame, header, fields));
    EXPECT_FALSE(protocol::decodeFields(fields, reply));
    return reply.result;
  }
  void hello() {
    sendRaw(protocol::encodeFrame({protocol::Type::kHello, 0, 1}, protocol::HelloRequest{}));
    EXPECT_EQ(receiveResult().code, protocol::Code::kOk);
  }
  support::Fd raw_;
};

TEST_F(RawProtocol, TheFirstRequestIsHello) {
  startPod();
  connectRaw();
  sendRaw(protocol::encodeFrame({protocol::Type::kList, 0, 1}, protocol::Empty{}));
  EXPECT_EQ(receiveResult().code, protocol::Code::kFailedPrecondition);
  sendRaw(protocol::encodeFrame({protocol::Type::kHello, 0, 2}, protocol::HelloRequest{7, 9}));
  EXPECT_EQ(receiveResult().code, protocol::Code::kFailedPrecondition);
  sendRaw(protocol::encodeFrame({protocol::Type::kHello, 0, 3}, protocol::HelloRequest{1, 9}));
  EXPECT_EQ(receiveResult().code, protocol::Code::kOk);
}

TEST_F(RawProtocol, UnknownTypesAndFieldsAndMalformedOnes) {
  startPod();
  connectRaw();
  hello();
  sendRaw(protocol::encodeFrame({static_cast<protocol::Type>(999), 0, 2}, protocol::Empty{}));
  EXPECT_EQ(receiveResult().code, protocol::Code::kUnimplemented);
  // A field of tomorrow: tag 200, four bytes.
  std::string frame = protocol::encodeFrame({protocol::Type::kStartContainer, 0, 3},
                                            protocol::ContainerRequest{"nobody"});
  sendRaw(frame + std::string("\xc8\0\0\0\4\0\0\0abcd", 12));
  EXPECT_EQ(receiveResult().code, protocol::Code::kNotFound);
  // A field that is longer than the frame.
  sendRaw(frame + std::string("\xc8\0\0\0\xff\0\0\0abcd", 12));
  const protocol::Result malformed = receiveResult();
  EXPECT_EQ(malformed.code, protocol::Code::kInvalidArgument);
  EXPECT_THAT(malformed.message, HasSubstr("field 200"));
  // No header: hung up, and nobody else is disturbed.
  sendRaw("abc");
  EXPECT_THAT(receiveRaw(), IsEmpty());
  EXPECT_OK(client_->list(soon()));
}

TEST_F(RawProtocol, ManyRequestsInFlight) {
  startPod();
  connectRaw();
  hello();
  constexpr uint32_t kCount = 500;
  // More answers than a socket buffer may hold, before the first is read.
  for (uint32_t id = 2; id < 2 + kCount; ++id) {
    sendRaw(protocol::encodeFrame({protocol::Type::kStartContainer, 0, id},
                                  protocol::ContainerRequest{std::string(100, 'x')}));
  }
  for (uint32_t id = 2; id < 2 + kCount; ++id) {
    const std::string frame = receiveRaw();
    protocol::Header header;
    std::string_view fields;
    ASSERT_FALSE(protocol::decodeHeader(frame, header, fields));
    ASSERT_EQ(header.id, id);
  }
}

TEST_F(RawProtocol, ALongListComesInSeveralFrames) {
  startPod();
  for (int i = 0; i < 200; ++i) create(absl::StrCat("listed-", i), {"/bin/true"});
  const auto listing = client_->list(soon());
  REQUIRE_OK(listing);
  EXPECT_THAT(listing->containers, SizeIs(200));
  connectRaw();
  hello();
  sendRaw(protocol::encodeFrame({protocol::Type::kList, 0, 2}, protocol::Empty{}));
  protocol::Header header;
  std::string_view fields;
  const std::string first = receiveRaw();
  ASSERT_FALSE(protocol::decodeHeader(first, header, fields));
  EXPECT_NE(header.flags & protocol::kMore, 0);
}

}  // namespace
}  // namespace berth::runc
