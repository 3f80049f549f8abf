// An image source that serves files of a directory: what a reference names stands in the file
// called as the reference with '_' for '/', blobs in files called as their digests. A blob of
// which there is a file "<digest>.broken" breaks off half way, once for each of the file's bytes.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <sstream>
#include <string>

#include "berth/image_source.hpp"

namespace {

namespace fs = std::filesystem;
using berth::Op;
using berth::Status;

class TestSource : public berth::ImageSource {
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
  Status fetch(const Op&, const berth::ImageRequest&, const berth::Descriptor& descriptor,
               uint64_t offset, berth::Sink& out) override {
    const std::string name(descriptor.digest);
    if (!fs::exists(directory_ + "/" + name)) return Status(BERTH_NOT_FOUND, "no blob " + name);
    host().info("fetch", {{"blob", name}, {"offset", std::to_string(offset)}});
    std::string bytes = read(name).substr(offset);
    const bool breaks = breakOff(name);
    if (breaks) bytes.resize(bytes.size() / 2);
    Status status = out.write(bytes);
    if (!status.ok()) return status;
    return breaks ? Status(BERTH_UNAVAILABLE, "the connection broke off") : Status();
  }

 private:
  std::string read(const std::string& name) const {
    std::ifstream file(directory_ + "/" + name, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
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
