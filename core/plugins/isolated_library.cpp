#include "plugins/isolated_library.hpp"

#include <fcntl.h>
#include <initializer_list>
#include <linux/capability.h>
#include <mutex>

#include "berth/plugin.hpp"
#include "berth/support/status.hpp"
#include "common/installed_program.hpp"
#include "isolation/stubs.hpp"

namespace berth::plugins {

using isolation::RemoteInstance;

namespace {

constexpr uint64_t bits(std::initializer_list<int> numbers) {
  uint64_t mask = 0;
  for (const int number : numbers) mask |= uint64_t{1} << number;
  return mask;
}

RemoteInstance& remote(void* instance) {
  return *static_cast<RemoteInstance*>(instance);
}

// The functions of a description whose instances are RemoteInstances.
berth_plugin describe(const isolation::Description& from) {
  berth_plugin plugin{};
  plugin.size = sizeof plugin;
  plugin.abi_major = from.abiMajor;
  plugin.abi_minor = from.abiMinor;
  plugin.required_minor = from.requiredMinor;
  plugin.threading = from.threading;
  plugin.name = str(from.name);
  plugin.version = str(from.version);
  plugin.summary = str(from.summary);
  plugin.interface_id = str(from.interfaceId);
  plugin.functions = isolation::interfaceStubs(from.interfaceId);
  plugin.options = str(from.options);
  // Needs to know of which process: IsolatedLibrary::create().
  plugin.create = [](const berth_host*, void**, berth_error* error) {
    return berth_fail(error, BERTH_INTERNAL, str("an instance of no process"));
  };
  plugin.configure = [](void* instance, berth_str options, berth_error* error) {
    return remote(instance).configure(options, error);
  };
  plugin.start = [](void* instance, berth_error* error) { return remote(instance).start(error); };
  plugin.stop = [](void* instance) { remote(instance).stop(); };
  plugin.destroy = [](void* instance) {
    const std::unique_ptr<RemoteInstance> ended(&remote(instance));
    ended->destroy();
  };
  if (from.extends) {
    plugin.get_extension = [](void* instance, berth_str id, uint32_t revision) {
      return remote(instance).extension(view(id), revision);
    };
  }
  if (from.examines) plugin.examine = &isolation::Stub<&berth_plugin::examine>::call;
  return plugin;
}

class IsolatedLibrary : public Library {
 public:
  static absl::StatusOr<std::shared_ptr<const Library>> load(
      isolation::Launch launch, Kind wanted, std::shared_ptr<isolation::PluginProcess> process) {
    auto description = std::make_unique<const isolation::Description>(process->description());
    const berth_plugin plugin = describe(*description);
    BERTH_ASSIGN_OR_RETURN(const Kind kind, check(plugin, launch.request.path, wanted));
    return std::shared_ptr<const Library>(new IsolatedLibrary(
        std::move(launch), std::move(description), plugin, kind, std::move(process)));
  }

  berth_code create(const berth_host* host, const isolation::Turns& turns, void** instance,
                    berth_error* error) const override {
    bool threw = false;
    const berth_code created = detail::guard(error, [&]() -> Status {
      std::shared_ptr<isolation::PluginProcess> process;
      {
        const std::lock_guard lock(mutex_);
        process = std::move(process_);
        process_ = nullptr;
      }
      if (process == nullptr) {
        auto started = isolation::PluginProcess::start(launch_);
        if (!started.ok()) return started.status();
        process = *std::move(started);
      }
      auto made = std::make_unique<RemoteInstance>(launch_, std::move(process), host, turns);
      detail::ErrorSlot slot;
      try {
        const berth_code code = made->create(slot.get());
        if (code == BERTH_OK) *instance = made.release();
        return slot.status(code);
      } catch (const isolation::PluginThrew&) {
        threw = true;
        return {};
      }
    });
    if (threw) throw isolation::PluginThrew();
    return created;
  }

  void endOwnCalls(void* instance) const override { remote(instance).endOwnCalls(); }

  std::optional<ProcessState> process(void* instance) const override {
    return ProcessState{remote(instance).pid(), remote(instance).restarts(),
                        remote(instance).outage()};
  }

 private:
  IsolatedLibrary(isolation::Launch launch,
                  std::unique_ptr<const isolation::Description> description,
                  const berth_plugin& plugin, Kind kind,
                  std::shared_ptr<isolation::PluginProcess> process)
      : Library(launch.request.path, plugin, kind),
        launch_(std::move(launch)),
        texts_(std::move(description)),
        process_(std::move(process)) {}

  const isolation::Launch launch_;
  const std::unique_ptr<const isolation::Description> texts_;  // of the description
  mutable std::mutex mutex_;
  mutable std::shared_ptr<isolation::PluginProcess> process_;  // for the first instance
};

}  // namespace

uint64_t standardCapabilities(Kind kind) {
  // Files of anybody, for whoever reads certificates and archives or writes what others own.
  constexpr uint64_t kFiles =
      bits({CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_FSETID, CAP_SETFCAP});
  constexpr uint64_t kProcesses = bits({CAP_KILL, CAP_SETUID, CAP_SETGID, CAP_SETPCAP,
                                        CAP_SYS_CHROOT, CAP_SYS_RESOURCE, CAP_SYS_NICE});
  switch (kind) {
    case Kind::kImageSource:
      return bits({CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH});
    case Kind::kSnapshotter:
      return kFiles | kProcesses |
             bits({CAP_SYS_ADMIN, CAP_MKNOD, CAP_LINUX_IMMUTABLE, CAP_MAC_ADMIN, CAP_MAC_OVERRIDE});
    case Kind::kNetwork:
      return kFiles | kProcesses |
             bits({CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_NET_RAW, CAP_NET_BIND_SERVICE, CAP_SYS_MODULE,
                   CAP_SYS_PTRACE, CAP_IPC_LOCK, CAP_BPF, CAP_PERFMON, CAP_MKNOD});
    case Kind::kRuntime:
      break;
  }
  return ~uint64_t{0};  // what it starts has what pods ask for
}

absl::StatusOr<std::shared_ptr<const Library>> loadIsolated(const std::string& path, Kind kind,
                                                            const Isolation& isolation) {
  isolation::Launch launch;
  launch.program = isolation.program;
  if (launch.program.empty()) {
    BERTH_ASSIGN_OR_RETURN(launch.program, common::installedProgram("berth-plugin-host"));
  }
  // A file that is not there is for the process to complain of.
  if (support::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC)); file)
    launch.file = std::make_shared<const support::Fd>(std::move(file));
  launch.request = {.hostVersion = BERTH_VERSION,
                    .interfaceId = std::string(interfaceId(kind)),
                    .path = path,
                    .capabilities = isolation.capabilities.value_or(standardCapabilities(kind)),
                    .place = isolation.place};
  BERTH_ASSIGN_OR_RETURN(std::shared_ptr<isolation::PluginProcess> process,
                         isolation::PluginProcess::start(launch));
  return IsolatedLibrary::load(std::move(launch), kind, std::move(process));
}

}  // namespace berth::plugins
