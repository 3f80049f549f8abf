#include "isolation/channel.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "berth/support/status.hpp"

namespace berth::isolation {

using support::errnoStatus;
using support::strCat;

namespace {

struct Header {
  uint32_t size;  // of what follows
  Kind kind;
  uint16_t number;
  uint32_t descriptors;
};

// Most frames are smaller than the first, and no read asks for more than the second: memory follows
// what the other side has really sent, not what it says.
constexpr size_t kFirstReadBytes = 4u << 10;
constexpr size_t kMostReadBytes = 1u << 20;
// Frames from this size on are not copied once more.
constexpr size_t kLargeBytes = 64u << 10;
// What waits for the next frame to be sent.
constexpr size_t kMostPostedBytes = 32u << 10;

constexpr size_t kControlBytes = CMSG_SPACE(sizeof(int) * kMostDescriptors);

absl::Status ended() {
  return absl::UnavailableError("the other side of the channel is gone");
}

void attach(msghdr& message, void* control, const std::vector<int>& descriptors) {
  if (descriptors.empty()) return;
  const size_t bytes = descriptors.size() * sizeof(int);
  message.msg_control = control;
  message.msg_controllen = CMSG_SPACE(bytes);
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(bytes);
  std::memcpy(CMSG_DATA(header), descriptors.data(), bytes);
}

}  // namespace

absl::Status Channel::send(Kind kind, uint16_t number, const Encoder& content, Patience* patience) {
  const std::string_view bytes = content.bytes();
  if (bytes.size() > kMostFrameBytes || content.descriptors().size() > kMostDescriptors)
    return absl::ResourceExhaustedError(strCat("a call with ", bytes.size(), " bytes; at most ",
                                               kMostFrameBytes,
                                               " go to a plugin in a process of its own"));
  const Header header{static_cast<uint32_t>(bytes.size()), kind, number,
                      static_cast<uint32_t>(content.descriptors().size())};
  iovec parts[3] = {{posted_.data(), posted_.size()},
                    {const_cast<Header*>(&header), sizeof header},
                    {const_cast<char*>(bytes.data()), bytes.size()}};
  alignas(cmsghdr) char control[kControlBytes] = {};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 3;
  attach(message, control, content.descriptors());
  size_t left = posted_.size() + sizeof header + bytes.size();
  for (;;) {
    const ssize_t sent =
        ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | (patience != nullptr ? MSG_DONTWAIT : 0));
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN && patience != nullptr) {
      BERTH_RETURN_IF_ERROR(patience->wait(socket_.get(), POLLOUT));
      continue;
    }
    if (sent < 0 && (errno == EPIPE || errno == ECONNRESET)) return ended();
    if (sent < 0) return errnoStatus(errno, "send to the other side of the channel");
    left -= static_cast<size_t>(sent);
    if (left == 0) {
      posted_.clear();
      return absl::OkStatus();
    }
    // They have gone with the first byte.
    message.msg_control = nullptr;
    message.msg_controllen = 0;
    size_t gone = static_cast<size_t>(sent);
    for (iovec& part : parts) {
      const size_t taken = std::min(gone, part.iov_len);
      part.iov_base = static_cast<char*>(part.iov_base) + taken;
      part.iov_len -= taken;
      gone -= taken;
    }
  }
}

absl::Status Channel::post(Kind kind, uint16_t number, const Encoder& content) {
  const std::string_view bytes = content.bytes();
  if (posted_.size() + bytes.size() > kMostPostedBytes || !content.descriptors().empty())
    return send(kind, number, content);
  const Header header{static_cast<uint32_t>(bytes.size()), kind, number, 0};
  posted_.append(reinterpret_cast<const char*>(&header), sizeof header);
  posted_.append(bytes);
  return absl::OkStatus();
}

absl::StatusOr<Frame> Channel::receive(Patience* patience) {
  Frame frame;
  for (;;) {
    BERTH_ASSIGN_OR_RETURN(const bool whole, takeFrame(frame));
    if (whole) return frame;
    BERTH_RETURN_IF_ERROR(fill(patience));
  }
}

absl::StatusOr<bool> Channel::takeFrame(Frame& frame) {
  Header header;
  const size_t have = buffer_.size() - begin_;
  if (have < sizeof header) return false;
  std::memcpy(&header, buffer_.data() + begin_, sizeof header);
  if (header.size > kMostFrameBytes || header.descriptors > kMostDescriptors)
    return absl::InvalidArgumentError(
        strCat("a frame of ", header.size, " bytes and ", header.descriptors, " descriptors"));
  if (have - sizeof header < header.size) return false;
  if (descriptors_.size() < header.descriptors)
    return absl::InvalidArgumentError("a frame without its descriptors");
  frame.kind = header.kind;
  frame.number = header.number;
  const size_t end = begin_ + sizeof header + header.size;
  if (begin_ == 0 && end == buffer_.size() && header.size > kLargeBytes) {
    buffer_.erase(0, sizeof header);
    frame.bytes = std::move(buffer_);
    buffer_.clear();
  } else {
    frame.bytes.assign(buffer_, begin_ + sizeof header, header.size);
    begin_ = end;
    if (begin_ == buffer_.size()) {
      buffer_.clear();
      begin_ = 0;
    }
  }
  const auto last = descriptors_.begin() + static_cast<std::ptrdiff_t>(header.descriptors);
  frame.descriptors.assign(std::make_move_iterator(descriptors_.begin()),
                           std::make_move_iterator(last));
  descriptors_.erase(descriptors_.begin(), last);
  return true;
}

absl::Status Channel::fill(Patience* patience) {
  if (begin_ != 0) {
    buffer_.erase(0, begin_);
    begin_ = 0;
  }
  if (patience != nullptr) BERTH_RETURN_IF_ERROR(patience->wait(socket_.get(), POLLIN));
  const size_t before = buffer_.size();
  size_t missing = 0;
  if (before >= sizeof(Header)) {
    Header header;
    std::memcpy(&header, buffer_.data(), sizeof header);
    missing = sizeof header + header.size - before;
  }
  buffer_.resize(before + std::clamp(missing, kFirstReadBytes, kMostReadBytes));
  iovec part{buffer_.data() + before, buffer_.size() - before};
  alignas(cmsghdr) char control[kControlBytes] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t got = 0;
  do {
    got = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  const int error = errno;
  buffer_.resize(before + (got > 0 ? static_cast<size_t>(got) : 0));
  if (got == 0 || (got < 0 && error == ECONNRESET)) return ended();
  if (got < 0) return errnoStatus(error, "receive from the other side of the channel");
  return takeDescriptors(&message);
}

absl::Status Channel::takeDescriptors(const void* given) {
  auto& message = *const_cast<msghdr*>(static_cast<const msghdr*>(given));
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
      descriptors_.emplace_back(fd);
    }
  }
  if ((message.msg_flags & MSG_CTRUNC) != 0 || descriptors_.size() > 4 * kMostDescriptors)
    return absl::InvalidArgumentError("more descriptors than frames have");
  return absl::OkStatus();
}

void Channel::shutDown() const {
  ::shutdown(socket_.get(), SHUT_RDWR);
}

absl::StatusOr<std::pair<support::Fd, support::Fd>> socketPair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return errnoStatus(errno, "make a pair of sockets");
  return std::pair{support::Fd(ends[0]), support::Fd(ends[1])};
}

}  // namespace berth::isolation
