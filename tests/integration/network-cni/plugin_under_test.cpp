#include "plugin_under_test.hpp"

#include <cstdlib>
#include <dlfcn.h>
#include <stdexcept>
#include <sys/eventfd.h>

#include "berth/plugin.hpp"
#include "test_paths.hpp"

namespace berth::cni_test {
namespace {

struct ErrorText {
  explicit ErrorText(Outcome& target) : outcome(target) {}
  berth_error error{sizeof(berth_error), this, &ErrorText::set};
  Outcome& outcome;

  static void set(berth_error* error, berth_code, berth_str message) {
    static_cast<ErrorText*>(error->host)->outcome.message = copy(message);
  }
};

const berth_network& functions() {
  return *static_cast<const berth_network*>(PluginUnderTest::description().functions);
}

berth_network_request request(const Pod& pod) {
  berth_network_request result = detail::known(static_cast<const berth_network_request*>(nullptr));
  result.pod = str(pod.id);
  result.name = str(pod.name);
  result.pod_namespace = str(pod.podNamespace);
  result.uid = str("uid-1");
  result.namespace_path = str(pod.namespacePath);
  result.port_mappings = pod.ports.data();
  result.port_mapping_count = pod.ports.size();
  result.ingress_rate = pod.ingressRate;
  result.ingress_burst = pod.ingressBurst;
  result.annotations = pod.annotations.data();
  result.annotation_count = pod.annotations.size();
  return result;
}

struct Builder {
  explicit Builder(Outcome& target) : outcome(target) {}
  Outcome& outcome;
  berth_network_builder builder{sizeof(berth_network_builder), this, &Builder::addAddress,
                                &Builder::setResult, &Builder::setState};

  static Outcome& of(berth_network_builder* builder) {
    return static_cast<Builder*>(builder->host)->outcome;
  }
  static void addAddress(berth_network_builder* builder, berth_str address) {
    of(builder).addresses.push_back(copy(address));
  }
  static void setResult(berth_network_builder* builder, berth_str json) {
    of(builder).result = copy(json);
  }
  static void setState(berth_network_builder* builder, berth_bytes state) {
    of(builder).state = std::string(view(state));
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
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    const std::lock_guard lock(self.mutex_);
    const bool late = std::chrono::nanoseconds(now).count() >= op->deadline;
    return static_cast<int32_t>(self.cancelled_ || late ? 1 : 0);
  };
  op_.stage = [](const berth_op* op, berth_str name) {
    auto& self = *static_cast<TestOp*>(op->host);
    {
      const std::lock_guard lock(self.mutex_);
      self.stages_.push_back(copy(name));
    }
    if (self.onStage) self.onStage(copy(name));
  };
  op_.progress = [](const berth_op*, uint64_t, uint64_t) {};
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
  host_.instance = str("cni");
  host_.context = this;
  host_.log = &PluginUnderTest::onLog;
  host_.allocate = [](void*, size_t bytes) { return std::malloc(bytes); };
  host_.release = [](void*, void* memory) { std::free(memory); };
  host_.emit_event = &PluginUnderTest::onEvent;
  Outcome outcome;
  ErrorText error(outcome);
  const berth_plugin& plugin = description();
  if (plugin.create(&host_, &instance_, &error.error) != BERTH_OK)
    throw std::runtime_error(outcome.message);
  if (plugin.configure(instance_, str(options), &error.error) != BERTH_OK ||
      plugin.start(instance_, &error.error) != BERTH_OK) {
    plugin.destroy(instance_);
    throw std::runtime_error(outcome.message);
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

void PluginUnderTest::onEvent(void* context, const berth_event* event) {
  if (event->kind != BERTH_EVENT_NETWORK_CHANGED) return;
  auto& self = *static_cast<PluginUnderTest*>(context);
  const std::lock_guard lock(self.mutex_);
  ++self.changes_;
  self.changed_.notify_all();
}

unsigned PluginUnderTest::changes() const {
  const std::lock_guard lock(mutex_);
  return changes_;
}

bool PluginUnderTest::awaitChange(unsigned seen) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(30), [&] { return changes_ > seen; });
}

std::string PluginUnderTest::log() const {
  const std::lock_guard lock(mutex_);
  return log_;
}

Outcome PluginUnderTest::attach(const Pod& pod, const TestOp& op) {
  Outcome outcome;
  ErrorText error(outcome);
  Builder out(outcome);
  const berth_network_request given = request(pod);
  outcome.code = functions().attach(instance_, op.get(), &given, &out.builder, &error.error);
  return outcome;
}

Outcome PluginUnderTest::detach(const Pod& pod, const std::string& state, const TestOp& op) {
  Outcome outcome;
  ErrorText error(outcome);
  const berth_network_request given = request(pod);
  outcome.code = functions().detach(instance_, op.get(), &given, bytes(state), &error.error);
  return outcome;
}

Outcome PluginUnderTest::check(const Pod& pod, const std::string& state, const TestOp& op) {
  Outcome outcome;
  ErrorText error(outcome);
  const berth_network_request given = request(pod);
  outcome.code = functions().check(instance_, op.get(), &given, bytes(state), &error.error);
  return outcome;
}

Outcome PluginUnderTest::status(const TestOp& op) {
  Outcome outcome;
  ErrorText error(outcome);
  outcome.code = functions().status(instance_, op.get(), &error.error);
  return outcome;
}

Outcome PluginUnderTest::gc(const std::vector<Wanted>& wanted, const TestOp& op) {
  Outcome outcome;
  ErrorText error(outcome);
  std::vector<berth_attachment> attachments;
  for (const Wanted& one : wanted)
    attachments.push_back({sizeof(berth_attachment), str(one.pod), bytes(one.state)});
  outcome.code =
      functions().gc(instance_, op.get(), attachments.data(), attachments.size(), &error.error);
  return outcome;
}

Outcome PluginUnderTest::setPodCidr(const std::string& cidr, const TestOp& op) {
  Outcome outcome;
  ErrorText error(outcome);
  outcome.code = functions().set_pod_cidr(instance_, op.get(), str(cidr), &error.error);
  return outcome;
}

}  // namespace berth::cni_test
