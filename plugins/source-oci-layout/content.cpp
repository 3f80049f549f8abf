#include "content.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <sys/stat.h>
#include <vector>

#include <openssl/evp.h>

#include "berth/support/status.hpp"

namespace berth::layout {

using support::strCat;

namespace {

constexpr size_t kPiece = 1u << 20;
constexpr std::string_view kSha256 = "sha256:";
constexpr std::string_view kSha512 = "sha512:";

class Hash {
 public:
  explicit Hash(std::string_view like = {}) : wide_(like.starts_with(kSha512)) {
    EVP_DigestInit_ex(context_.get(), wide_ ? EVP_sha512() : EVP_sha256(), nullptr);
  }
  void update(std::string_view bytes) {
    EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size());
  }
  std::string finish() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> value{};
    unsigned int length = 0;
    EVP_DigestFinal_ex(context_.get(), value.data(), &length);
    static constexpr char kHex[] = "0123456789abcdef";
    std::string text(wide_ ? kSha512 : kSha256);
    for (unsigned int i = 0; i < length; ++i) {
      text.push_back(kHex[value[i] >> 4]);
      text.push_back(kHex[value[i] & 15]);
    }
    return text;
  }

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  const bool wide_;
  std::unique_ptr<EVP_MD_CTX, Free> context_{EVP_MD_CTX_new()};
};

}  // namespace

absl::Status readPieces(const Content& content, uint64_t from, const Check& check,
                        const std::function<absl::Status(std::string_view)>& take) {
  std::vector<char> buffer(static_cast<size_t>(
      std::min<uint64_t>(kPiece, content.size > from ? content.size - from : 0)));
  for (uint64_t done = from; done < content.size;) {
    BERTH_RETURN_IF_ERROR(check());
    const size_t wanted =
        static_cast<size_t>(std::min<uint64_t>(buffer.size(), content.size - done));
    const ssize_t count = ::pread(content.file->get(), buffer.data(), wanted,
                                  static_cast<off_t>(content.offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return support::errnoStatus(errno, "read");
    if (count == 0)
      return absl::DataLossError(
          strCat("the file ends after ", done, " of ", content.size, " bytes"));
    BERTH_RETURN_IF_ERROR(take({buffer.data(), static_cast<size_t>(count)}));
    done += static_cast<uint64_t>(count);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> readAll(const Content& content, uint64_t limit) {
  if (content.size > limit)
    return absl::ResourceExhaustedError(
        strCat("it has ", content.size, " bytes, more than the limit of ", limit));
  std::string text;
  text.reserve(static_cast<size_t>(content.size));
  BERTH_RETURN_IF_ERROR(readPieces(
      content, 0, [] { return absl::OkStatus(); },
      [&text](std::string_view bytes) {
        text.append(bytes);
        return absl::OkStatus();
      }));
  return text;
}

absl::StatusOr<std::string> readHead(const Content& content, size_t size) {
  Content head = content;
  head.size = std::min<uint64_t>(head.size, size);
  return readAll(head, size);
}

absl::StatusOr<std::string_view> compressionOf(const Content& content) {
  struct Form {
    std::string_view name;
    std::string_view begin;
  };
  static constexpr Form kForms[] = {
      {"gzip", "\x1f\x8b"}, {"zstd", "\x28\xb5\x2f\xfd"}, {"xz", "\xfd\x37zXZ"}, {"bzip2", "BZh"}};
  constexpr size_t kLongest = 5;
  const auto head = readHead(content, kLongest);
  if (!head.ok()) return head.status();
  for (const Form& form : kForms)
    if (head->compare(0, form.begin.size(), form.begin) == 0) return form.name;
  return std::string_view();
}

absl::StatusOr<std::string> digestOf(const Content& content, const Check& check) {
  Hash hash;
  BERTH_RETURN_IF_ERROR(readPieces(content, 0, check, [&hash](std::string_view bytes) {
    hash.update(bytes);
    return absl::OkStatus();
  }));
  return hash.finish();
}

std::string digestOf(std::string_view bytes, std::string_view like) {
  Hash hash(like);
  hash.update(bytes);
  return hash.finish();
}

bool isDigest(std::string_view text) {
  const size_t digits = text.starts_with(kSha256) ? 64 : text.starts_with(kSha512) ? 128 : 0;
  return digits != 0 && text.size() == kSha256.size() + digits &&
         text.find_first_not_of("0123456789abcdef", kSha256.size()) == std::string_view::npos;
}

absl::StatusOr<std::string> locationOf(const support::Fd& file) {
  struct stat info = {};
  if (::fstat(file.get(), &info) != 0) return support::errnoStatus(errno, "stat an open file");
  std::error_code error;
  const std::filesystem::path path =
      std::filesystem::read_symlink(strCat("/proc/self/fd/", file.get()), error);
  if (error) return support::errnoStatus(error.value(), "find out where an open file lies");
  if (info.st_nlink == 0 || !path.is_absolute())
    return absl::AbortedError(strCat(path.string(), " has been removed while it was being read"));
  return path.string();
}

}  // namespace berth::layout
