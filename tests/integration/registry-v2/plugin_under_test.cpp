#include "plugin_under_test.hpp"

#include <cstdlib>
#include <dlfcn.h>
#include <stdexcept>
#include <sys/eventfd.h>

#include "berth/plugin.hpp"
#include "test_paths.hpp"

namespace berth::registry_test {
namespace {

struct ErrorText {
  berth_error error{sizeof(berth_error), this, &ErrorText::set};
  std::string message;

  static void set(berth_error* error, berth_code, berth_str message) {
    static_cast<ErrorText*>(error->host)->message = copy(message);
  }
};

berth_credentials abi(const TestCredentials& given) {
  berth_credentials result = detail::known(static_cast<const berth_credentials*>(nullptr));
  result.username = str(given.username);
  result.password = str(given.password);
  result.auth = str(given.auth);
  result.server_address = str(given.serverAddress);
  result.identity_token = str(given.identityToken);
  result.registry_token = str(given.registryToken);
  return result;
}

const berth_image_source& functions() {
  return *static_cast<const berth_image_source*>(PluginUnderTest::description().functions);
}

// What a builder or sink of one call leads to.
struct Receiver {
  Outcome* outcome;
  const std::function<berth_code(const std::string&)>* onPiece;

  static void set(berth_resolve_builder* builder, const berth_descriptor* descriptor,
                  berth_bytes document) {
    Outcome& outcome = *static_cast<Receiver*>(builder->host)->outcome;
    outcome.mediaType = copy(descriptor->media_type);
    outcome.digest = copy(descriptor->digest);
    outcome.bytes = std::string(view(document));
  }
  static berth_code write(berth_sink* sink, const void* data, size_t length) {
    auto& self = *static_cast<Receiver*>(sink->host);
    const std::string piece(static_cast<const char*>(data), length);
    if (*self.onPiece) {
      const berth_code code = (*self.onPiece)(piece);
      if (code != BERTH_OK) return code;
    }
    self.outcome->bytes += piece;
    return BERTH_OK;
  }
};

}  // namespace

TestOp::TestOp(std::chrono::milliseconds time) : event_(::eventfd(0, EFD_CLOEXEC)) {
  op_.size = sizeof op_;
  op_.host = this;
  const auto end = std::chrono::steady_clock::now() + time;
  op_.deadline =
      std::chrono::duration_cast<std::chrono::nanoseconds>(end.time_since_epoch()).count();
  op_.cancel_fd = event_.get();
  op_.cancelled = [](const berth_op* op) {
    auto& self = *static_cast<TestOp*>(op->host);
    const std::lock_guard lock(self.mutex_);
    return static_cast<int32_t>(self.cancelled_ ? 1 : 0);
  };
  op_.stage = [](const berth_op* op, berth_str name) {
    auto& self = *static_cast<TestOp*>(op->host);
    const std::lock_guard lock(self.mutex_);
    self.stages_.push_back(copy(name));
  };
  op_.progress = [](const berth_op* op, uint64_t done, uint64_t) {
    auto& self = *static_cast<TestOp*>(op->host);
    const std::lock_guard lock(self.mutex_);
    self.done_ = done;
  };
}

void TestOp::cancel() {
  {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
  }
  ::eventfd_write(event_.get(), 1);
}

std::vector<std::string> TestOp::stages() const {
  const std::lock_guard lock(mutex_);
  return stages_;
}

uint64_t TestOp::done() const {
  const std::lock_guard lock(mutex_);
  return done_;
}

const berth_plugin& PluginUnderTest::description() {
  static const berth_plugin* const plugin = [] {
    void* library = ::dlopen(test_paths::plugin, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) throw std::runtime_error(::dlerror());
    auto entry =
        reinterpret_cast<berth_plugin_entry_function>(::dlsym(library, "berth_plugin_entry"));
    if (entry == nullptr) throw std::runtime_error("no berth_plugin_entry");
    return entry(BERTH_ABI_MAJOR, BERTH_ABI_MINOR);
  }();
  return *plugin;
}

PluginUnderTest::PluginUnderTest(const std::string& options) {
  host_.size = sizeof host_;
  host_.abi_major = BERTH_ABI_MAJOR;
  host_.abi_minor = BERTH_ABI_MINOR;
  host_.version = str("test");
  host_.instance = str("registry");
  host_.context = this;
  host_.log = &PluginUnderTest::onLog;
  host_.allocate = [](void*, size_t bytes) { return std::malloc(bytes); };
  host_.release = [](void*, void* memory) { std::free(memory); };
  host_.get_credentials = &PluginUnderTest::onGetCredentials;
  ErrorText error;
  const berth_plugin& plugin = description();
  if (plugin.create(&host_, &instance_, &error.error) != BERTH_OK)
    throw std::runtime_error(error.message);
  if (plugin.configure(instance_, str(options), &error.error) != BERTH_OK ||
      plugin.start(instance_, &error.error) != BERTH_OK) {
    plugin.destroy(instance_);
    throw std::runtime_error(error.message);
  }
}

PluginUnderTest::~PluginUnderTest() {
  description().stop(instance_);
  description().destroy(instance_);
}

void PluginUnderTest::onLog(void* context, berth_log_level, berth_str message,
                            const berth_pair* fields, size_t count) {
  auto& self = *static_cast<PluginUnderTest*>(context);
  const std::lock_guard lock(self.mutex_);
  self.log_ += copy(message);
  for (size_t i = 0; i < count; ++i)
    self.log_ += " " + copy(fields[i].key) + "=" + copy(fields[i].value);
  self.log_ += "\n";
}

berth_code PluginUnderTest::onGetCredentials(void* context, const berth_op*, berth_str registry,
                                             void (*found)(void*, const berth_credentials*),
                                             void* user, berth_error* error) {
  auto& self = *static_cast<PluginUnderTest*>(context);
  const std::lock_guard lock(self.mutex_);
  ++self.lookups_;
  std::string name = copy(registry);
  auto known = self.hostCredentials.find(name);
  // What names the most of a repository counts, since 1.1.
  while (known == self.hostCredentials.end() && self.host_.abi_minor >= 1 &&
         name.find('/') != std::string::npos) {
    name.resize(name.rfind('/'));
    known = self.hostCredentials.find(name);
  }
  if (known == self.hostCredentials.end())
    return berth_fail(error, BERTH_NOT_FOUND, str("no credentials for this registry"));
  const berth_credentials credentials = abi(known->second);
  found(user, &credentials);
  return BERTH_OK;
}

bool PluginUnderTest::serves(const std::string& reference) {
  return functions().serves(instance_, str(reference)) != 0;
}

Outcome PluginUnderTest::resolve(const std::string& reference,
                                 const std::optional<TestCredentials>& credentials) {
  return resolve(TestOp(), reference, 4u << 20, credentials);
}

Outcome PluginUnderTest::fetch(const std::string& reference, const TestDescriptor& descriptor,
                               uint64_t offset, const std::optional<TestCredentials>& credentials) {
  return fetch(TestOp(), reference, descriptor, offset, credentials);
}

Outcome PluginUnderTest::resolve(const TestOp& op, const std::string& reference, uint64_t limit,
                                 const std::optional<TestCredentials>& credentials) {
  Outcome outcome;
  Receiver receiver{&outcome, &onPiece};
  const TestCredentials kept = credentials.value_or(TestCredentials());
  const berth_credentials given = abi(kept);
  const berth_image_request request{sizeof(berth_image_request), str(reference),
                                    credentials ? &given : nullptr};
  berth_resolve_builder builder{sizeof(berth_resolve_builder), &receiver, &Receiver::set};
  ErrorText error;
  outcome.code = functions().resolve(instance_, op.get(), &request, limit, &builder, &error.error);
  outcome.message = error.message;
  return outcome;
}

Outcome PluginUnderTest::fetch(const TestOp& op, const std::string& reference,
                               const TestDescriptor& descriptor, uint64_t offset,
                               const std::optional<TestCredentials>& credentials) {
  Outcome outcome;
  Receiver receiver{&outcome, &onPiece};
  const TestCredentials kept = credentials.value_or(TestCredentials());
  const berth_credentials given = abi(kept);
  const berth_image_request request{sizeof(berth_image_request), str(reference),
                                    credentials ? &given : nullptr};
  std::vector<berth_str> urls;
  for (const std::string& url : descriptor.urls) urls.push_back(str(url));
  berth_descriptor wanted = detail::known(static_cast<const berth_descriptor*>(nullptr));
  wanted.media_type = str(descriptor.mediaType);
  wanted.digest = str(descriptor.digest);
  wanted.blob_size = descriptor.size;
  wanted.urls = urls.data();
  wanted.url_count = urls.size();
  berth_sink sink{sizeof(berth_sink), &receiver, &Receiver::write};
  ErrorText error;
  outcome.code =
      functions().fetch(instance_, op.get(), &request, &wanted, offset, &sink, &error.error);
  outcome.message = error.message;
  return outcome;
}

FoundSignatures PluginUnderTest::signatures(const std::string& reference, const std::string& digest,
                                            size_t most,
                                            const std::optional<TestCredentials>& credentials) {
  const void* extension =
      description().get_extension(instance_, str(BERTH_EXTENSION_IMAGE_SIGNATURES), 1);
  if (extension == nullptr) throw std::runtime_error("no signatures");
  struct Taker {
    FoundSignatures found;
    size_t most;
    static berth_code add(berth_image_signature_builder* builder,
                          const berth_image_signature* one) {
      auto& self = *static_cast<Taker*>(builder->host);
      if (self.most-- == 0) return BERTH_RESOURCE_EXHAUSTED;
      const std::string payload(view(one->payload));
      if (one->kind == BERTH_SIGNATURE_SIMPLE)
        self.found.simple.push_back(payload);
      else
        self.found.sigstore.emplace_back(payload, copy(one->signature));
      return BERTH_OK;
    }
  } taker{{}, most};
  berth_image_signature_builder builder{sizeof(berth_image_signature_builder), &taker, &Taker::add};
  const TestCredentials kept = credentials.value_or(TestCredentials());
  const berth_credentials given = abi(kept);
  const berth_image_request request{sizeof(berth_image_request), str(reference),
                                    credentials ? &given : nullptr};
  ErrorText error;
  taker.found.code = static_cast<const berth_image_signatures*>(extension)->signatures(
      instance_, TestOp().get(), &request, str(digest), &builder, &error.error);
  taker.found.message = error.message;
  return taker.found;
}

std::string PluginUnderTest::log() const {
  const std::lock_guard lock(mutex_);
  return log_;
}

size_t PluginUnderTest::credentialLookups() const {
  const std::lock_guard lock(mutex_);
  return lookups_;
}

}  // namespace berth::registry_test
