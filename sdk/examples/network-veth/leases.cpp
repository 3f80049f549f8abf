#include "leases.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/file.h>
#include <unistd.h>

namespace vethnet {

namespace fs = std::filesystem;

namespace {

std::optional<uint32_t> toAddress(const std::string& text) {
  in_addr address = {};
  if (::inet_pton(AF_INET, text.c_str(), &address) != 1) return std::nullopt;
  return ntohl(address.s_addr);
}

std::string content(const fs::path& path) {
  std::ifstream stream(path);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// One at a time, of all instances: each has a descriptor of its own, and the lock is the
// descriptor's. Without the folder there is nothing to lock.
class Turn {
 public:
  explicit Turn(const std::string& folder)
      : folder_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    while (folder_ >= 0 && ::flock(folder_, LOCK_EX) != 0 && errno == EINTR) continue;
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() {
    if (folder_ >= 0) ::close(folder_);
  }

 private:
  const int folder_;
};

// Calls found(address, pod) for each lease, until it says true.
template <class Found>
void look(const std::string& folder, Found found) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    const auto address = toAddress(entry.path().filename());
    if (address && found(*address, content(entry.path()))) return;
  }
}

std::optional<uint32_t> addressOf(const std::string& folder, std::string_view pod) {
  std::optional<uint32_t> own;
  look(folder, [&](uint32_t one, const std::string& owner) {
    if (owner == pod) own = one;
    return own.has_value();
  });
  return own;
}

}  // namespace

std::string toText(uint32_t address) {
  char text[INET_ADDRSTRLEN] = "";
  const in_addr network = {htonl(address)};
  ::inet_ntop(AF_INET, &network, text, sizeof text);
  return text;
}

std::optional<Range> Range::parse(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto address = toAddress(std::string(text.substr(0, slash)));
  const char* end = text.data() + text.size();
  unsigned prefix = 0;
  const auto read = std::from_chars(text.data() + slash + 1, end, prefix);
  if (!address || read.ec != std::errc() || read.ptr != end || prefix < 8 || prefix > 30)
    return std::nullopt;
  const uint32_t host = ~uint32_t{0} >> prefix;
  return Range{*address & ~host, *address | host};
}

berth::Status Leases::take(const Range& range, std::string_view pod, uint32_t& address) {
  std::error_code error;
  fs::create_directories(folder_, error);
  const Turn turn(folder_);
  std::vector<bool> taken(range.last - range.first + 1);
  std::optional<uint32_t> own;
  look(folder_, [&](uint32_t one, const std::string& owner) {
    if (one >= range.first && one <= range.last) taken[one - range.first] = true;
    if (owner == pod) own = one;
    return owner == pod;
  });
  for (uint32_t one = range.gateway() + 1; !own && one < range.last; ++one)
    if (!taken[one - range.first]) own = one;
  if (!own)
    return {BERTH_RESOURCE_EXHAUSTED, "all addresses from " + toText(range.gateway() + 1) + " to " +
                                          toText(range.last - 1) + " are taken"};
  // Written beside and renamed: a lease has its owner, or does not exist.
  const std::string path = folder_ + "/" + toText(*own);
  std::ofstream(path + ".new") << pod;
  fs::rename(path + ".new", path, error);
  if (error) return {BERTH_INTERNAL, "write " + path + ": " + error.message()};
  address = *own;
  return {};
}

std::optional<uint32_t> Leases::find(std::string_view pod) const {
  const Turn turn(folder_);
  return addressOf(folder_, pod);
}

void Leases::release(std::string_view pod) {
  const Turn turn(folder_);
  std::error_code ignored;
  if (const auto address = addressOf(folder_, pod))
    fs::remove(folder_ + "/" + toText(*address), ignored);
}

std::vector<std::string> Leases::pods() const {
  const Turn turn(folder_);
  std::vector<std::string> result;
  look(folder_, [&](uint32_t, const std::string& owner) {
    result.push_back(owner);
    return false;
  });
  return result;
}

}  // namespace vethnet
