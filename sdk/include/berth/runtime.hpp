// C++ wrapper of berth/runtime.h.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "berth/plugin.hpp"
#include "berth/runtime.h"

namespace berth {

using StringPairs = std::vector<std::pair<std::string_view, std::string_view>>;

// berth_pod_spec with its arrays laid out for this side; `raw` has the scalar members.
struct PodSpec {
  berth_pod_spec raw{};
  std::string_view id, directory, hostname, cgroupParent, resources, overhead;
  StringPairs sysctls, labels, annotations, defaultAnnotations;
  std::vector<berth_id_mapping> uidMappings, gidMappings;
};

// What podCreate has made (berth_pod_builder).
class PodBuilder {
 public:
  explicit PodBuilder(berth_pod_builder* builder) : builder_(builder) {}
  void setNamespace(uint32_t bit, std::string_view path) {
    builder_->set_namespace(builder_, bit, str(path));
  }
  void setState(std::string_view state) { builder_->set_state(builder_, bytes(state)); }

 private:
  berth_pod_builder* builder_;
};

// Contracts of the functions: berth/runtime.h, same names.
class Runtime : public Plugin {
 public:
  using Kind = Runtime;
  static constexpr std::string_view kInterface = BERTH_RUNTIME_INTERFACE;
  using Plugin::Plugin;

  enum class KillScope { kFirstProcess, kAllProcesses };

  virtual Status features(std::string& json) = 0;
  virtual Status podCreate(const Op& op, const PodSpec& spec, PodBuilder& out) = 0;
  virtual Status podStart(const Op& op, std::string_view pod) = 0;
  virtual Status podStop(const Op& op, std::string_view pod) = 0;
  virtual Status podRemove(const Op& op, std::string_view pod) = 0;
  // Receives the containers of a recovered pod (berth_container_status_sink).
  class StatusSink {
   public:
    explicit StatusSink(berth_container_status_sink* sink) : sink_(sink) {}
    void add(berth_container_status status) {
      status.size = sizeof status;
      sink_->add(sink_, &status);
    }

   private:
    berth_container_status_sink* sink_;
  };
  virtual Status podRecover(const Op& op, std::string_view pod, std::string_view directory,
                            std::string_view state, StatusSink& out) = 0;
  virtual Status containerCreate(const Op& op, const berth_container_spec& spec) = 0;
  virtual Status containerStart(const Op& op, std::string_view pod, std::string_view container,
                                berth_container_status& status) = 0;
  virtual Status containerKill(const Op& op, std::string_view pod, std::string_view container,
                               int signal, KillScope scope) = 0;
  virtual Status containerWait(const Op& op, std::string_view pod, std::string_view container,
                               berth_container_status& status) = 0;
  virtual Status containerRemove(const Op& op, std::string_view pod,
                                 std::string_view container) = 0;
  virtual Status containerUpdate(const Op& op, std::string_view pod, std::string_view container,
                                 std::string_view resources) = 0;
  virtual Status containerReopenLog(const Op& op, std::string_view pod,
                                    std::string_view container) = 0;
  // Receives usage (berth_stats_sink); `size` is filled in.
  class StatsSink {
   public:
    explicit StatsSink(berth_stats_sink* sink);
    // The groups (BERTH_STATS_) to be filled.
    uint32_t wanted() const { return wanted_; }
    void add(berth_stats stats) {
      stats.size = sizeof stats;
      sink_->add(sink_, &stats);
    }

   private:
    berth_stats_sink* sink_;
    uint32_t wanted_;
  };
  virtual Status containerStats(const Op& op, std::string_view pod,
                                const std::vector<std::string_view>& containers,
                                StatsSink& out) = 0;
  virtual Status podStats(const Op& op, std::string_view pod, StatsSink& out) = 0;
  virtual Status execStart(const Op& op, const berth_exec_spec& spec) = 0;
  virtual Status execWait(const Op& op, std::string_view pod, std::string_view container,
                          std::string_view exec, int32_t& exitCode) = 0;
  virtual Status resize(const Op& op, std::string_view pod, std::string_view container,
                        std::string_view exec, uint32_t rows, uint32_t columns) = 0;
  virtual Status attach(const Op& op, std::string_view pod, std::string_view container, int stdinFd,
                        int stdoutFd, int stderrFd) = 0;

  static const berth_runtime* functions();
};

namespace detail {

inline StringPairs pairs(const berth_pair* items, size_t count) {
  StringPairs result;
  for (size_t i = 0; i < count; ++i) {
    result.emplace_back(view(items[i].key), view(items[i].value));
  }
  return result;
}

inline PodSpec podSpec(const berth_pod_spec* given) {
  PodSpec result;
  const berth_pod_spec raw = known(given);
  result.raw = raw;
  result.id = view(raw.id);
  result.directory = view(raw.directory);
  result.hostname = view(raw.hostname);
  result.cgroupParent = view(raw.cgroup_parent);
  result.resources = view(raw.resources);
  result.overhead = view(raw.overhead);
  result.sysctls = pairs(raw.sysctls, raw.sysctl_count);
  result.labels = pairs(raw.labels, raw.label_count);
  result.annotations = pairs(raw.annotations, raw.annotation_count);
  result.defaultAnnotations = pairs(raw.default_annotations, raw.default_annotation_count);
  result.uidMappings.assign(raw.uid_mappings, raw.uid_mappings + raw.uid_mapping_count);
  result.gidMappings.assign(raw.gid_mappings, raw.gid_mappings + raw.gid_mapping_count);
  return result;
}

struct RuntimeCalls {
  static Runtime& self(void* instance) { return *static_cast<Runtime*>(instance); }

  template <class Body>
  static berth_code withStatus(berth_container_status* status, berth_error* error, Body body) {
    return guard(error, [&]() -> Status {
      berth_container_status mine = known(static_cast<const berth_container_status*>(nullptr));
      Status result = body(mine);
      mine.message = {};  // lent to sinks alone
      if (result.ok()) give(status, mine);
      return result;
    });
  }

  static berth_code features(void* instance, berth_sink* out, berth_error* error) {
    return guard(error, [&]() -> Status {
      std::string json;
      Status status = self(instance).features(json);
      if (!status.ok()) return status;
      const berth_code code = out->write(out, json.data(), json.size());
      return code == BERTH_OK ? Status() : Status(code, "the host did not take the features");
    });
  }
  static berth_code podCreate(void* instance, const berth_op* op, const berth_pod_spec* spec,
                              berth_pod_builder* out, berth_error* error) {
    return guard(error, [&] {
      PodBuilder builder(out);
      return self(instance).podCreate(Op(op), podSpec(spec), builder);
    });
  }
  static berth_code podStart(void* instance, const berth_op* op, berth_str pod,
                             berth_error* error) {
    return guard(error, [&] { return self(instance).podStart(Op(op), view(pod)); });
  }
  static berth_code podStop(void* instance, const berth_op* op, berth_str pod, berth_error* error) {
    return guard(error, [&] { return self(instance).podStop(Op(op), view(pod)); });
  }
  static berth_code podRemove(void* instance, const berth_op* op, berth_str pod,
                              berth_error* error) {
    return guard(error, [&] { return self(instance).podRemove(Op(op), view(pod)); });
  }
  static berth_code podRecover(void* instance, const berth_op* op, berth_str pod,
                               berth_str directory, berth_bytes state,
                               berth_container_status_sink* out, berth_error* error) {
    return guard(error, [&] {
      Runtime::StatusSink sink(out);
      return self(instance).podRecover(Op(op), view(pod), view(directory), view(state), sink);
    });
  }
  static berth_code containerCreate(void* instance, const berth_op* op,
                                    const berth_container_spec* spec, berth_error* error) {
    return guard(error, [&] { return self(instance).containerCreate(Op(op), known(spec)); });
  }
  static berth_code containerStart(void* instance, const berth_op* op, berth_str pod,
                                   berth_str container, berth_container_status* status,
                                   berth_error* error) {
    return withStatus(status, error, [&](berth_container_status& mine) {
      return self(instance).containerStart(Op(op), view(pod), view(container), mine);
    });
  }
  static berth_code containerKill(void* instance, const berth_op* op, berth_str pod,
                                  berth_str container, int32_t signal, int32_t all,
                                  berth_error* error) {
    return guard(error, [&] {
      return self(instance).containerKill(
          Op(op), view(pod), view(container), signal,
          all != 0 ? Runtime::KillScope::kAllProcesses : Runtime::KillScope::kFirstProcess);
    });
  }
  static berth_code containerWait(void* instance, const berth_op* op, berth_str pod,
                                  berth_str container, berth_container_status* status,
                                  berth_error* error) {
    return withStatus(status, error, [&](berth_container_status& mine) {
      return self(instance).containerWait(Op(op), view(pod), view(container), mine);
    });
  }
  static berth_code containerRemove(void* instance, const berth_op* op, berth_str pod,
                                    berth_str container, berth_error* error) {
    return guard(
        error, [&] { return self(instance).containerRemove(Op(op), view(pod), view(container)); });
  }
  static berth_code containerUpdate(void* instance, const berth_op* op, berth_str pod,
                                    berth_str container, berth_str resources, berth_error* error) {
    return guard(error, [&] {
      return self(instance).containerUpdate(Op(op), view(pod), view(container), view(resources));
    });
  }
  static berth_code containerReopenLog(void* instance, const berth_op* op, berth_str pod,
                                       berth_str container, berth_error* error) {
    return guard(error, [&] {
      return self(instance).containerReopenLog(Op(op), view(pod), view(container));
    });
  }
  static berth_code containerStats(void* instance, const berth_op* op, berth_str pod,
                                   const berth_str* containers, size_t count, berth_stats_sink* out,
                                   berth_error* error) {
    return guard(error, [&] {
      std::vector<std::string_view> ids;
      for (size_t i = 0; i < count; ++i) ids.push_back(view(containers[i]));
      Runtime::StatsSink sink(out);
      return self(instance).containerStats(Op(op), view(pod), ids, sink);
    });
  }
  static berth_code podStats(void* instance, const berth_op* op, berth_str pod,
                             berth_stats_sink* out, berth_error* error) {
    return guard(error, [&] {
      Runtime::StatsSink sink(out);
      return self(instance).podStats(Op(op), view(pod), sink);
    });
  }
  static berth_code execStart(void* instance, const berth_op* op, const berth_exec_spec* spec,
                              berth_error* error) {
    return guard(error, [&] { return self(instance).execStart(Op(op), known(spec)); });
  }
  static berth_code execWait(void* instance, const berth_op* op, berth_str pod, berth_str container,
                             berth_str exec, int32_t* exitCode, berth_error* error) {
    return guard(error, [&] {
      return self(instance).execWait(Op(op), view(pod), view(container), view(exec), *exitCode);
    });
  }
  static berth_code resize(void* instance, const berth_op* op, berth_str pod, berth_str container,
                           berth_str exec, uint32_t rows, uint32_t columns, berth_error* error) {
    return guard(error, [&] {
      return self(instance).resize(Op(op), view(pod), view(container), view(exec), rows, columns);
    });
  }
  static berth_code attach(void* instance, const berth_op* op, berth_str pod, berth_str container,
                           int32_t stdinFd, int32_t stdoutFd, int32_t stderrFd,
                           berth_error* error) {
    return guard(error, [&] {
      return self(instance).attach(Op(op), view(pod), view(container), stdinFd, stdoutFd, stderrFd);
    });
  }
};

}  // namespace detail

inline Runtime::StatsSink::StatsSink(berth_stats_sink* sink) : sink_(sink) {
  const uint32_t wanted = detail::known(static_cast<const berth_stats_sink*>(sink)).wanted;
  wanted_ = wanted != 0 ? wanted : ~uint32_t{BERTH_STATS_ON_REQUEST};
}

inline const berth_runtime* Runtime::functions() {
  using Calls = detail::RuntimeCalls;
  static const berth_runtime table = {
      .size = sizeof(berth_runtime),
      .features = &Calls::features,
      .pod_create = &Calls::podCreate,
      .pod_start = &Calls::podStart,
      .pod_stop = &Calls::podStop,
      .pod_remove = &Calls::podRemove,
      .pod_recover = &Calls::podRecover,
      .container_create = &Calls::containerCreate,
      .container_start = &Calls::containerStart,
      .container_kill = &Calls::containerKill,
      .container_wait = &Calls::containerWait,
      .container_remove = &Calls::containerRemove,
      .container_update = &Calls::containerUpdate,
      .container_reopen_log = &Calls::containerReopenLog,
      .container_stats = &Calls::containerStats,
      .pod_stats = &Calls::podStats,
      .exec_start = &Calls::execStart,
      .exec_wait = &Calls::execWait,
      .resize = &Calls::resize,
      .attach = &Calls::attach,
  };
  return &table;
}

}  // namespace berth
