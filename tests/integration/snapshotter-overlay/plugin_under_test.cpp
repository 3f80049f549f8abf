#include "plugin_under_test.hpp"

#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <stdexcept>
#include <sys/mount.h>

#include "berth/support/files.hpp"
#include "test_paths.hpp"

namespace berth::test {
namespace {

const berth_plugin* loadPlugin() {
  void* library = ::dlopen(test_paths::plugin, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw std::runtime_error(::dlerror());
  void* symbol = ::dlsym(library, "berth_plugin_entry");
  if (symbol == nullptr) throw std::runtime_error(::dlerror());
  const auto entry = reinterpret_cast<berth_plugin_entry_function>(symbol);
  return entry(BERTH_ABI_MAJOR, BERTH_ABI_MINOR);
}

berth_layer layerOf(const std::string& diffId) {
  return {.size = sizeof(berth_layer),
          .chain_id = str(diffId),
          .parent_chain_id = {},
          .diff_id = str(diffId)};
}

struct NameCollector {
  std::vector<std::string> names;
  berth_name_sink sink = {sizeof(berth_name_sink), this, &NameCollector::add};
  static void add(berth_name_sink* sink, berth_str name) {
    static_cast<NameCollector*>(sink->host)->names.push_back(copy(name));
  }
};

struct FindingCollector {
  std::vector<std::string> lines;
  berth_finding_sink sink = {sizeof(berth_finding_sink), this, &FindingCollector::add};
  static void add(berth_finding_sink* sink, const berth_finding* finding) {
    const char* kind = finding->kind == BERTH_FINDING_REFUSED ? "damaged" : "limited";
    static_cast<FindingCollector*>(sink->host)
        ->lines.push_back(std::string(kind) + " " + copy(finding->what) + " " +
                          copy(finding->detail));
  }
};

}  // namespace

Scratch::Scratch() {
  char name[] = "/var/tmp/berth-overlay-XXXXXX";
  if (::mkdtemp(name) == nullptr) throw std::runtime_error("mkdtemp");
  path_ = name;
}

Scratch::~Scratch() {
  // What a failed test may have left mounted.
  const auto table = support::readFile("/proc/self/mountinfo");
  if (table.ok()) {
    for (size_t at = 0; (at = table->find(" " + path_, at)) != std::string::npos; ++at) {
      const size_t end = table->find(' ', at + 1);
      ::umount2(table->substr(at + 1, end - at - 1).c_str(), MNT_DETACH);
    }
  }
  (void)support::removeTree(path_);
}

Pieces wholeArchive(std::string archive) {
  return [archive = std::move(archive), given = false](std::string_view& piece) mutable {
    piece = given ? std::string_view() : std::string_view(archive);
    given = true;
    return static_cast<berth_code>(BERTH_OK);
  };
}

std::string diffIdOf(uint64_t number) {
  char text[80];
  std::snprintf(text, sizeof text, "sha256:%064llx", static_cast<unsigned long long>(number));
  return text;
}

PluginUnderTest::PluginUnderTest(const std::string& root, const std::string& furtherOptions) {
  plugin_ = loadPlugin();
  functions_ = static_cast<const berth_snapshotter*>(plugin_->functions);
  host_.size = sizeof host_;
  host_.abi_major = BERTH_ABI_MAJOR;
  host_.context = this;
  host_.log = [](void* context, berth_log_level level, berth_str message, const berth_pair*,
                 size_t) {
    if (level >= BERTH_LOG_WARNING)
      static_cast<PluginUnderTest*>(context)->warnings_.push_back(copy(message));
  };
  detail::ErrorSlot error;
  const auto step = [&](berth_code code) {
    started = error.status(code);
    return started.ok();
  };
  const std::string options = R"({"root": ")" + root + "\"" + furtherOptions + "}";
  if (!step(plugin_->create(&host_, &instance_, error.get()))) return;
  if (!step(plugin_->configure(instance_, str(options), error.get()))) return;
  step(plugin_->start(instance_, error.get()));
  verify_ = static_cast<const berth_snapshotter_verify*>(
      plugin_->get_extension(instance_, str(BERTH_EXTENSION_VERIFY), 1));
}

void PluginUnderTest::shutDown() {
  if (instance_ == nullptr) return;
  if (started.ok()) plugin_->stop(instance_);
  plugin_->destroy(instance_);
  instance_ = nullptr;
}

berth_op PluginUnderTest::op() {
  return {.size = sizeof(berth_op),
          .host = this,
          .deadline = INT64_MAX,
          .cancel_fd = -1,
          .cancelled =
              [](const berth_op* op) {
                return static_cast<PluginUnderTest*>(op->host)->cancelled ? 1 : 0;
              },
          .stage = [](const berth_op*, berth_str) {},
          .progress = [](const berth_op*, uint64_t, uint64_t) {}};
}

Status PluginUnderTest::apply(const std::string& diffId, const Pieces& pieces, Usage* usage) {
  Pieces mine = pieces;
  berth_stream stream = {sizeof(berth_stream), &mine, [](berth_stream* self, berth_bytes* piece) {
                           std::string_view next;
                           const berth_code code = (*static_cast<Pieces*>(self->host))(next);
                           *piece = bytes(next);
                           return code;
                         }};
  const berth_op operation = op();
  const berth_layer layer = layerOf(diffId);
  berth_usage got = {.size = sizeof(berth_usage)};
  detail::ErrorSlot error;
  const berth_code code =
      functions_->layer_apply(instance_, &operation, &layer, &stream, &got, error.get());
  if (usage != nullptr) *usage = {got.bytes, got.inodes};
  return error.status(code);
}

Status PluginUnderTest::apply(const std::string& diffId, const std::string& archive, Usage* usage) {
  return apply(diffId, wholeArchive(archive), usage);
}

Status PluginUnderTest::layerUsage(const std::string& diffId, Usage& usage) {
  const berth_op operation = op();
  const berth_layer layer = layerOf(diffId);
  berth_usage got = {.size = sizeof(berth_usage)};
  detail::ErrorSlot error;
  const berth_code code = functions_->layer_usage(instance_, &operation, &layer, &got, error.get());
  usage = {got.bytes, got.inodes};
  return error.status(code);
}

Status PluginUnderTest::removeLayer(const std::string& diffId) {
  const berth_op operation = op();
  const berth_layer layer = layerOf(diffId);
  detail::ErrorSlot error;
  return error.status(functions_->layer_remove(instance_, &operation, &layer, error.get()));
}

std::vector<std::string> PluginUnderTest::layers() {
  const berth_op operation = op();
  NameCollector collector;
  functions_->layer_list(instance_, &operation, &collector.sink, nullptr);
  return collector.names;
}

Status PluginUnderTest::prepare(const SnapshotRequest& request) {
  std::vector<berth_layer> layers;
  for (const std::string& layer : request.layers) layers.push_back(layerOf(layer));
  const berth_snapshot_spec spec = {.size = sizeof(berth_snapshot_spec),
                                    .key = str(request.key),
                                    .layers = layers.data(),
                                    .layer_count = layers.size(),
                                    .read_only = request.readOnly ? 1 : 0,
                                    .uid_mappings = request.mappings.data(),
                                    .uid_mapping_count = request.mappings.size(),
                                    .gid_mappings = request.mappings.data(),
                                    .gid_mapping_count = request.mappings.size()};
  const berth_op operation = op();
  detail::ErrorSlot error;
  return error.status(functions_->snapshot_prepare(instance_, &operation, &spec, error.get()));
}

Status PluginUnderTest::mount(const std::string& key, const std::string& target) {
  const berth_op operation = op();
  detail::ErrorSlot error;
  return error.status(
      functions_->snapshot_mount(instance_, &operation, str(key), str(target), error.get()));
}

Status PluginUnderTest::unmount(const std::string& key, const std::string& target) {
  const berth_op operation = op();
  detail::ErrorSlot error;
  return error.status(
      functions_->snapshot_unmount(instance_, &operation, str(key), str(target), error.get()));
}

Status PluginUnderTest::snapshotUsage(const std::string& key, Usage& usage) {
  const berth_op operation = op();
  berth_usage got = {.size = sizeof(berth_usage)};
  detail::ErrorSlot error;
  const berth_code code =
      functions_->snapshot_usage(instance_, &operation, str(key), &got, error.get());
  usage = {got.bytes, got.inodes};
  return error.status(code);
}

Status PluginUnderTest::removeSnapshot(const std::string& key) {
  const berth_op operation = op();
  detail::ErrorSlot error;
  return error.status(functions_->snapshot_remove(instance_, &operation, str(key), error.get()));
}

std::vector<std::string> PluginUnderTest::snapshots() {
  const berth_op operation = op();
  NameCollector collector;
  functions_->snapshot_list(instance_, &operation, &collector.sink, nullptr);
  return collector.names;
}

std::string PluginUnderTest::filesystem(Usage& usage) {
  const berth_op operation = op();
  std::string path;
  berth_sink sink = {
      sizeof(berth_sink), &path, [](berth_sink* self, const void* data, size_t length) {
        static_cast<std::string*>(self->host)->append(static_cast<const char*>(data), length);
        return static_cast<berth_code>(BERTH_OK);
      }};
  berth_usage got = {.size = sizeof(berth_usage)};
  functions_->filesystem(instance_, &operation, &sink, &got, nullptr);
  usage = {got.bytes, got.inodes};
  return path;
}

Status PluginUnderTest::verifyLayer(const std::string& diffId, std::vector<std::string>& found,
                                    uint32_t flags) {
  const berth_op operation = op();
  const berth_layer layer = layerOf(diffId);
  FindingCollector collector;
  detail::ErrorSlot error;
  const berth_code code =
      verify_->layer_verify(instance_, &operation, &layer, flags, &collector.sink, error.get());
  found = collector.lines;
  return error.status(code);
}

Status PluginUnderTest::verifySnapshot(const std::string& key, std::vector<std::string>& found) {
  const berth_op operation = op();
  FindingCollector collector;
  detail::ErrorSlot error;
  const berth_code code =
      verify_->snapshot_verify(instance_, &operation, str(key), 0, &collector.sink, error.get());
  found = collector.lines;
  return error.status(code);
}

Status PluginUnderTest::dropLayer(const std::string& diffId) {
  const berth_op operation = op();
  const berth_layer layer = layerOf(diffId);
  detail::ErrorSlot error;
  return error.status(verify_->layer_drop(instance_, &operation, &layer, error.get()));
}

std::vector<std::string> PluginUnderTest::setAside() {
  const berth_op operation = op();
  FindingCollector collector;
  verify_->set_aside(instance_, &operation, &collector.sink, nullptr);
  return collector.lines;
}

}  // namespace berth::test
