// An image source that serves files of a directory: what a reference names stands in the file
// called as the reference with '_' for '/', blobs in files called as their digests. A blob of
// which there is a file "<digest>.broken" breaks off half way, once for each of the file's bytes.
// One of which there is a FIFO "<digest>.gate" comes once somebody has opened and closed that.
// Signatures of a document are in "<digest>.simple.1" and so on, and in "<digest>.sigstore.1" with
// "<digest>.sigstore.1.signature". Images come from the "oci" layout that the file "origin" names,
// when it is there. With a file "no-signatures", those cannot be got.
#include <algorithm>
#include <array>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <poll.h>
#include <sstream>
#include <string>
#include <unistd.h>

#include "berth/image_signatures.hpp"
#include "berth/image_source.hpp"

namespace {

namespace fs = std::filesystem;
using berth::Op;
using berth::Status;

class TestSource : public berth::ImageSource, public berth::Extensions<berth::ImageSignatures> {
 public:
  using ImageSource::ImageSource;

  Status configure(std::string_view options) override {
    // {"directory":"…"}: the host has checked that it is there and a string.
    const size_t begin = options.find(":\"") + 2;
    directory_ = options.substr(begin, options.rfind('"') - begin);
    directory_.erase(std::remove(directory_.begin(), directory_.end(), '\\'), directory_.end());
    return {};
  }
  Status start() override {
    host().info("start");
    return {};
  }
  void stop() override { host().info("stop"); }

  bool serves(std::string_view reference) override {
    return reference.find("elsewhere") == std::string_view::npos;
  }
  Status resolve(const Op&, const berth::ImageRequest& request, uint64_t limit,
                 berth::Resolved& out) override {
    std::string name(request.reference);
    if (request.hasCredentials) host().info("credentials for " + name);
    std::replace(name.begin(), name.end(), '/', '_');
    if (!fs::exists(directory_ + "/" + name)) {
      return Status(BERTH_NOT_FOUND, "no " + name + " here");
    }
    out.digest = read(name);
    out.mediaType = "application/vnd.oci.image.manifest.v1+json";
    out.document = read(out.digest);
    if (out.document.size() > limit) return Status(BERTH_RESOURCE_EXHAUSTED, "too large");
    return {};
  }
  Status fetch(const Op& op, const berth::ImageRequest&, const berth::Descriptor& descriptor,
               uint64_t offset, berth::Sink& out) override {
    const std::string name(descriptor.digest);
    if (!fs::exists(directory_ + "/" + name)) return Status(BERTH_NOT_FOUND, "no blob " + name);
    host().info("fetch", {{"blob", name}, {"offset", std::to_string(offset)}});
    if (!waitAtGate(op, name)) return Status(BERTH_CANCELLED, "cancelled at the gate");
    std::string bytes = read(name).substr(offset);
    const bool breaks = breakOff(name);
    if (breaks) bytes.resize(bytes.size() / 2);
    Status status = out.write(bytes);
    if (!status.ok()) return status;
    return breaks ? Status(BERTH_UNAVAILABLE, "the connection broke off") : Status();
  }
  Status origin(const Op&, const berth::ImageRequest&, std::string_view,
                berth::ImageOrigin& out) override {
    if (fs::exists(directory_ + "/origin")) out = {"oci", read("origin")};
    return {};
  }
  Status signatures(const Op&, const berth::ImageRequest&, std::string_view digest,
                    berth::SignatureList& out) override {
    host().info("signatures", {{"digest", digest}});
    if (fs::exists(directory_ + "/no-signatures")) return Status(BERTH_UNAVAILABLE, "not now");
    for (int number = 1;; ++number) {
      const std::string name = std::string(digest) + ".simple." + std::to_string(number);
      if (!fs::exists(directory_ + "/" + name)) break;
      if (Status status = out.addSimple(read(name)); !status.ok()) return status;
    }
    for (int number = 1;; ++number) {
      const std::string name = std::string(digest) + ".sigstore." + std::to_string(number);
      if (!fs::exists(directory_ + "/" + name)) return {};
      Status status = out.addSigstore(read(name), read(name + ".signature"));
      if (!status.ok()) return status;
    }
  }

 private:
  std::string read(const std::string& name) const {
    std::ifstream file(directory_ + "/" + name, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }
  bool waitAtGate(const Op& op, const std::string& name) const {
    const int gate = ::open((directory_ + "/" + name + ".gate").c_str(), O_RDONLY | O_NONBLOCK);
    if (gate < 0) return true;
    host().info("at the gate", {{"blob", name}});
    std::array<pollfd, 2> waits{pollfd{gate, POLLIN, 0}, pollfd{op.cancelFd(), POLLIN, 0}};
    ::poll(waits.data(), waits.size(), -1);
    ::close(gate);
    return waits[1].revents == 0;
  }
  bool breakOff(const std::string& name) {
    std::lock_guard lock(mutex_);
    const fs::path path = directory_ + "/" + name + ".broken";
    std::error_code error;
    const uintmax_t left = fs::file_size(path, error);
    if (error || left == 0) return false;
    fs::resize_file(path, left - 1);
    return true;
  }

  std::string directory_;
  std::mutex mutex_;
};

}  // namespace

BERTH_PLUGIN(TestSource,
             {.name = "test-source",
              .version = "1.0.0",
              .summary = "for tests",
              .threading = BERTH_THREADING_PARALLEL,
              .options = R"([{"key": "directory", "type": "string", "help": "the files"}])"})
