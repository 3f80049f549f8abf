#include "plugins/runtime.hpp"

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "isolation/given.hpp"
#include "plugins/runtime_status.hpp"
#include "plugins/sinks.hpp"

namespace berth::plugins {

namespace {

class PodBuilder {
 public:
  berth_pod_builder* get() { return &builder_; }
  CreatedPod& pod() { return pod_; }
  const Taking& taking() const { return taking_; }

 private:
  static PodBuilder& self(berth_pod_builder* builder) {
    return *static_cast<PodBuilder*>(builder->host);
  }
  static void setNamespace(berth_pod_builder* builder, uint32_t bit, berth_str path) {
    self(builder).taking_.take([&]() -> Status {
      self(builder).pod_.namespaces[bit] = takenBytes(view(path));
      return {};
    });
  }
  static void setState(berth_pod_builder* builder, berth_bytes state) {
    self(builder).taking_.take([&]() -> Status {
      self(builder).pod_.state = takenBytes(view(state));
      return {};
    });
  }

  Taking taking_;
  CreatedPod pod_;
  berth_pod_builder builder_{sizeof(berth_pod_builder), this, &setNamespace, &setState};
};

class StatusCollector {
 public:
  berth_container_status_sink* get() { return &sink_; }
  std::vector<ContainerStatus>& statuses() { return statuses_; }
  const Taking& taking() const { return taking_; }

 private:
  static void add(berth_container_status_sink* sink, const berth_container_status* given) {
    auto& self = *static_cast<StatusCollector*>(sink->host);
    self.taking_.take(given, [&](const berth_container_status& status) -> Status {
      absl::Status wrong = checkStatus(status);
      if (wrong.ok()) self.statuses_.push_back(ownedStatus(status));
      return wrong;
    });
  }

  Taking taking_;
  std::vector<ContainerStatus> statuses_;
  berth_container_status_sink sink_{sizeof(berth_container_status_sink), this, &add};
};

// Takes over an array of sized structs with the name in each.
template <class Owned, class Raw>
void takeOver(std::vector<Owned>& target, const Raw*& items, size_t& count, berth_str Raw::*name) {
  isolation::demandSizedArray(items, count);
  target.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    Raw one = detail::known(static_cast<const Raw*>(berth_at(items, i)));
    std::string owned = takenText(one.*name);
    one.*name = {};
    target.push_back({std::move(owned), one});
  }
  items = nullptr;
  count = 0;
}

class StatsCollector {
 public:
  explicit StatsCollector(uint32_t wanted)
      : sink_{.size = sizeof(berth_stats_sink), .host = this, .add = &add, .wanted = wanted} {}
  StatsCollector(const StatsCollector&) = delete;
  StatsCollector& operator=(const StatsCollector&) = delete;
  berth_stats_sink* get() { return &sink_; }
  std::vector<Stats>& stats() { return stats_; }
  const Taking& taking() const { return taking_; }

 private:
  static void add(berth_stats_sink* sink, const berth_stats* given) {
    auto& self = *static_cast<StatsCollector*>(sink->host);
    self.taking_.take(given, [&](const berth_stats& known) -> Status {
      Stats stats;
      berth_stats& raw = stats.raw;
      raw = known;
      stats.id = takenText(raw.id);
      raw.id = {};
      takeOver(stats.interfaces, raw.interfaces, raw.interface_count, &berth_interface_stats::name);
      takeOver(stats.disks, raw.disks, raw.disk_count, &berth_disk_stats::device);
      takeOver(stats.hugePages, raw.hugepages, raw.hugepage_count,
               &berth_hugepage_stats::page_size);
      self.stats_.push_back(std::move(stats));
      return {};
    });
  }

  Taking taking_;
  std::vector<Stats> stats_;
  berth_stats_sink sink_;
};

}  // namespace

Runtime::Runtime(Instance& instance) : instance_(instance) {
  copyTable(Kind::kRuntime, instance.library().description().functions, &table_, sizeof table_)
      .IgnoreError();
}

absl::Status Runtime::readFeatures() {
  findExtensions();
  TextSink text;
  BERTH_RETURN_IF_ERROR(instance_.call({}, [&](berth_error* error) {
    return table_.features(instance_.handle(), text.get(), error);
  }));
  BERTH_ASSIGN_OR_RETURN(
      features_, support::parseJsonObject(text.text(), support::strCat("features of ", name())));
  return absl::OkStatus();
}

absl::StatusOr<CreatedPod> Runtime::createPod(const Operation& op, const PodSpec& spec) {
  const auto sysctls = pairs(spec.sysctls);
  const auto labels = pairs(spec.labels);
  const auto annotations = pairs(spec.annotations);
  const auto defaults = pairs(spec.defaultAnnotations);
  const berth_pod_spec abi = {.size = sizeof(berth_pod_spec),
                              .id = str(spec.id),
                              .name = str(spec.name),
                              .pod_namespace = str(spec.podNamespace),
                              .uid = str(spec.uid),
                              .attempt = spec.attempt,
                              .new_namespaces = spec.newNamespaces,
                              .handler = str(spec.handler),
                              .directory = str(spec.directory),
                              .hostname = str(spec.hostname),
                              .cgroup_parent = str(spec.cgroupParent),
                              .cgroup_driver = spec.cgroupDriver,
                              .oom_score_adj = spec.oomScoreAdj,
                              .sysctls = sysctls.data(),
                              .sysctl_count = sysctls.size(),
                              .uid_mappings = spec.uidMappings.data(),
                              .uid_mapping_count = spec.uidMappings.size(),
                              .gid_mappings = spec.gidMappings.data(),
                              .gid_mapping_count = spec.gidMappings.size(),
                              .labels = labels.data(),
                              .label_count = labels.size(),
                              .annotations = annotations.data(),
                              .annotation_count = annotations.size(),
                              .resources = str(spec.resources),
                              .overhead = str(spec.overhead),
                              .default_annotations = defaults.data(),
                              .default_annotation_count = defaults.size()};
  PodBuilder builder;
  const absl::Status called = instance_.call(op, spec.id, [&](berth_error* error) {
    return table_.pod_create(instance_.handle(), op.op(), &abi, builder.get(), error);
  });
  BERTH_RETURN_IF_ERROR(builder.taking().judge(name(), called));
  // A path cannot be put right, and a record cannot keep it.
  for (const auto& [bit, path] : builder.pod().namespaces) {
    if (!support::isUtf8(path)) {
      return absl::InternalError(
          support::strCat("plugin ", name(), " gave a namespace a path that is not UTF-8"));
    }
  }
  return std::move(builder.pod());
}

absl::Status Runtime::startPod(const Operation& op, const std::string& pod) {
  return instance_.call(op, pod, [&](berth_error* error) {
    return table_.pod_start(instance_.handle(), op.op(), str(pod), error);
  });
}

absl::Status Runtime::stopPod(const Operation& op, const std::string& pod) {
  return instance_.call(op, pod, [&](berth_error* error) {
    return table_.pod_stop(instance_.handle(), op.op(), str(pod), error);
  });
}

absl::Status Runtime::removePod(const Operation& op, const std::string& pod) {
  return instance_.call(op, pod, [&](berth_error* error) {
    return table_.pod_remove(instance_.handle(), op.op(), str(pod), error);
  });
}

Runtime::Recovered Runtime::recoverPod(const Operation& op, const std::string& pod,
                                       const std::string& directory, std::string_view state) {
  StatusCollector collector;
  const absl::Status called = instance_.call(op, pod, [&](berth_error* error) {
    return table_.pod_recover(instance_.handle(), op.op(), str(pod), str(directory), bytes(state),
                              collector.get(), error);
  });
  return {collector.taking().judge(name(), called), std::move(collector.statuses())};
}

absl::Status Runtime::createContainer(const Operation& op, const ContainerSpec& spec) {
  const berth_container_spec abi = {.size = sizeof(berth_container_spec),
                                    .pod = str(spec.pod),
                                    .id = str(spec.id),
                                    .name = str(spec.name),
                                    .attempt = spec.attempt,
                                    .flags = spec.flags,
                                    .directory = str(spec.directory),
                                    .rootfs = str(spec.rootfs),
                                    .spec = str(spec.spec),
                                    .log_path = str(spec.logPath)};
  return instance_.call(op, spec.pod, [&](berth_error* error) {
    return table_.container_create(instance_.handle(), op.op(), &abi, error);
  });
}

absl::StatusOr<ContainerStatus> Runtime::startContainer(const Operation& op, const std::string& pod,
                                                        const std::string& id) {
  berth_container_status status = emptyStatus();
  BERTH_RETURN_IF_ERROR(instance_.call(op, pod, [&](berth_error* error) {
    return table_.container_start(instance_.handle(), op.op(), str(pod), str(id), &status, error);
  }));
  return filledStatus(name(), id, status);
}

absl::Status Runtime::killContainer(const Operation& op, const std::string& pod,
                                    const std::string& id, int signal, KillScope scope) {
  return instance_.call(op, pod, [&](berth_error* error) {
    return table_.container_kill(instance_.handle(), op.op(), str(pod), str(id), signal,
                                 scope == KillScope::kAllProcesses ? 1 : 0, error);
  });
}

absl::StatusOr<ContainerStatus> Runtime::waitContainer(const Operation& op, const std::string& pod,
                                                       const std::string& id) {
  berth_container_status status = emptyStatus();
  BERTH_RETURN_IF_ERROR(instance_.callBeside([&](berth_error* error) {
    return table_.container_wait(instance_.handle(), op.op(), str(pod), str(id), &status, error);
  }));
  return filledStatus(name(), id, status);
}

absl::Status Runtime::removeContainer(const Operation& op, const std::string& pod,
                                      const std::string& id) {
  return instance_.call(op, pod, [&](berth_error* error) {
    return table_.container_remove(instance_.handle(), op.op(), str(pod), str(id), error);
  });
}

absl::Status Runtime::updateContainer(const Operation& op, const std::string& pod,
                                      const std::string& id, const std::string& resources) {
  return instance_.call(op, pod, [&](berth_error* error) {
    return table_.container_update(instance_.handle(), op.op(), str(pod), str(id), str(resources),
                                   error);
  });
}

absl::Status Runtime::reopenLog(const Operation& op, const std::string& pod,
                                const std::string& id) {
  return instance_.callBeside([&](berth_error* error) {
    return table_.container_reopen_log(instance_.handle(), op.op(), str(pod), str(id), error);
  });
}

absl::StatusOr<std::vector<Stats>> Runtime::containerStats(const Operation& op,
                                                           const std::string& pod,
                                                           const std::vector<std::string>& ids,
                                                           uint32_t wanted) {
  const std::vector<berth_str> names = strings(ids);
  StatsCollector collector(wanted);
  const absl::Status called = instance_.call(op, pod, [&](berth_error* error) {
    return table_.container_stats(instance_.handle(), op.op(), str(pod), names.data(), names.size(),
                                  collector.get(), error);
  });
  BERTH_RETURN_IF_ERROR(collector.taking().judge(name(), called));
  return std::move(collector.stats());
}

absl::StatusOr<std::vector<Stats>> Runtime::podStats(const Operation& op, const std::string& pod,
                                                     uint32_t wanted) {
  StatsCollector collector(wanted);
  const absl::Status called = instance_.call(op, pod, [&](berth_error* error) {
    return table_.pod_stats(instance_.handle(), op.op(), str(pod), collector.get(), error);
  });
  BERTH_RETURN_IF_ERROR(collector.taking().judge(name(), called));
  return std::move(collector.stats());
}

absl::Status Runtime::startExec(const Operation& op, const ExecSpec& spec) {
  const berth_exec_spec abi = {.size = sizeof(berth_exec_spec),
                               .pod = str(spec.pod),
                               .container = str(spec.container),
                               .id = str(spec.id),
                               .process = str(spec.process),
                               .flags = spec.terminal ? uint32_t{BERTH_CONTAINER_TERMINAL} : 0u,
                               .stdin_fd = spec.stdinFd,
                               .stdout_fd = spec.stdoutFd,
                               .stderr_fd = spec.stderrFd,
                               .rows = spec.rows,
                               .columns = spec.columns};
  return instance_.call(op, spec.pod, [&](berth_error* error) {
    return table_.exec_start(instance_.handle(), op.op(), &abi, error);
  });
}

absl::StatusOr<int32_t> Runtime::waitExec(const Operation& op, const std::string& pod,
                                          const std::string& container, const std::string& exec) {
  int32_t exitCode = 0;
  BERTH_RETURN_IF_ERROR(instance_.callBeside([&](berth_error* error) {
    return table_.exec_wait(instance_.handle(), op.op(), str(pod), str(container), str(exec),
                            &exitCode, error);
  }));
  return exitCode;
}

absl::Status Runtime::resize(const Operation& op, const std::string& pod,
                             const std::string& container, const std::string& exec, uint32_t rows,
                             uint32_t columns) {
  return instance_.call(op, pod, [&](berth_error* error) {
    return table_.resize(instance_.handle(), op.op(), str(pod), str(container), str(exec), rows,
                         columns, error);
  });
}

absl::Status Runtime::attach(const Operation& op, const std::string& pod,
                             const std::string& container, int stdinFd, int stdoutFd,
                             int stderrFd) {
  return instance_.call(op, pod, [&](berth_error* error) {
    return table_.attach(instance_.handle(), op.op(), str(pod), str(container), stdinFd, stdoutFd,
                         stderrFd, error);
  });
}

}  // namespace berth::plugins
