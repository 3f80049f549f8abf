// Lists and statuses: answered from memory.
#include "berth/support/status.hpp"

#include <algorithm>

#include "engine/engine.hpp"
#include "engine/filter.hpp"
#include "engine/spec/stop_signal.hpp"

namespace berth::engine {

namespace v1 = runtime::v1;

namespace {

v1::PodSandboxState podState(const records::PodRecord& record) {
  return record.state() == records::POD_READY && !record.lost() ? v1::SANDBOX_READY
                                                                : v1::SANDBOX_NOTREADY;
}

bool matches(const v1::PodSandboxFilter& filter, const records::PodRecord& record) {
  return matchesId(filter.id(), record.id()) &&
         (!filter.has_state() || filter.state().state() == podState(record)) &&
         matchesLabels(filter.label_selector(), record.config().labels());
}

bool matches(const v1::ContainerFilter& filter, const records::ContainerRecord& record) {
  return matchesId(filter.id(), record.id()) &&
         matchesId(filter.pod_sandbox_id(), record.pod_id()) &&
         (!filter.has_state() || filter.state().state() == record.state()) &&
         matchesLabels(filter.label_selector(), record.config().labels());
}

std::string itemOf(const records::PodRecord& record) {
  v1::PodSandbox item;
  item.set_id(record.id());
  *item.mutable_metadata() = record.config().metadata();
  item.set_state(podState(record));
  item.set_created_at(record.created_at());
  *item.mutable_labels() = record.config().labels();
  *item.mutable_annotations() = record.config().annotations();
  item.set_runtime_handler(record.handler());
  return item.SerializeAsString();
}

std::string itemOf(const records::ContainerRecord& record) {
  v1::Container item;
  item.set_id(record.id());
  item.set_pod_sandbox_id(record.pod_id());
  *item.mutable_metadata() = record.config().metadata();
  *item.mutable_image() = record.config().image();
  item.set_image_ref(record.image_ref());
  item.set_image_id(record.image_id());
  item.set_state(record.state());
  item.set_created_at(record.created_at());
  *item.mutable_labels() = record.config().labels();
  *item.mutable_annotations() = record.config().annotations();
  return item.SerializeAsString();
}

template <class Record, class Objects, class Filter>
ListItems itemsOf(const Objects& objects, const Filter& filter) {
  const auto matching = [&](const Record& record) { return matches(filter, record); };
  const auto make = [](const Record& record) { return itemOf(record); };
  ListItems items;
  items.reserve(objects.size());
  for (const auto& object : objects) {
    if (!object->visible()) continue;
    if (auto item = object->listed(matching, make)) items.push_back(std::move(item));
  }
  return items;
}

}  // namespace

ListItems Engine::listPodSandboxes(const v1::PodSandboxFilter& filter) const {
  return itemsOf<records::PodRecord>(pods(), filter);
}

StateCounts Engine::countStates() const {
  StateCounts counts;
  for (const auto& pod : pods())
    if (pod->visible()) ++counts.pods[pod->peek(podState)];
  for (const auto& container : containers())
    if (container->visible()) ++counts.containers[container->state()];
  return counts;
}

absl::StatusOr<v1::PodSandboxStatus> Engine::podSandboxStatus(const std::string& id) const {
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<Pod> pod, findPod(id));
  return statusOf(*pod);
}

v1::PodSandboxStatus Engine::statusOf(const Pod& pod) const {
  const records::PodRecord record = pod.record();
  const v1::PodSandboxConfig& config = record.config();
  v1::PodSandboxStatus status;
  status.set_id(record.id());
  *status.mutable_metadata() = config.metadata();
  status.set_state(podState(record));
  status.set_created_at(record.created_at());
  *status.mutable_labels() = config.labels();
  *status.mutable_annotations() = config.annotations();
  status.set_runtime_handler(record.handler());
  v1::NamespaceOption* options = status.mutable_linux()->mutable_namespaces()->mutable_options();
  *options = config.linux().security_context().namespace_options();
  for (int i = 0; i < record.network().addresses_size(); ++i) {
    const std::string& address = record.network().addresses(i);
    if (i == 0) {
      status.mutable_network()->set_ip(address);
    } else {
      status.mutable_network()->add_additional_ips()->set_ip(address);
    }
  }
  return status;
}

ListItems Engine::listContainers(const v1::ContainerFilter& filter) const {
  return itemsOf<records::ContainerRecord>(containers(), filter);
}

absl::StatusOr<v1::ContainerStatus> Engine::containerStatus(const std::string& id) const {
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<Container> container, findContainer(id));
  return statusOf(*container);
}

std::vector<v1::ContainerStatus> Engine::containerStatusesOf(const std::string& podId) const {
  auto pod = findPod(podId);
  return pod.ok() ? containerStatusesOf(**pod) : std::vector<v1::ContainerStatus>();
}

// The kubelet takes them for all that there is of the pod, and the first of a name for the newest.
std::vector<v1::ContainerStatus> Engine::containerStatusesOf(const Pod& pod) const {
  const std::string uid =
      pod.peek([](const records::PodRecord& r) { return r.config().metadata().uid(); });
  std::vector<v1::ContainerStatus> statuses;
  for (const auto& container : containers()) {
    const Pod& its = container->pod();
    const bool same =
        its.id() == pod.id() || (!uid.empty() && its.peek([&](const records::PodRecord& r) {
          return r.config().metadata().uid() == uid;
        }));
    if (same && container->visible()) statuses.push_back(statusOf(*container));
  }
  std::sort(statuses.begin(), statuses.end(),
            [](const auto& a, const auto& b) { return a.created_at() > b.created_at(); });
  return statuses;
}

v1::ContainerStatus Engine::statusOf(const Container& container) const {
  const records::ContainerRecord record = container.record();
  const v1::ContainerConfig& config = record.config();
  v1::ContainerStatus status;
  status.set_id(record.id());
  *status.mutable_metadata() = config.metadata();
  status.set_state(record.state());
  status.set_created_at(record.created_at());
  if (record.state() != v1::CONTAINER_CREATED) status.set_started_at(record.started_at());
  if (record.state() == v1::CONTAINER_EXITED) {
    status.set_finished_at(record.finished_at());
    status.set_exit_code(record.exit_code());
    status.set_reason(record.reason());
    status.set_message(record.message());
  }
  *status.mutable_image() = config.image();
  // The kubelet has resolved the name that people gave it, and shows them this one.
  if (const std::string& given = config.image().user_specified_image(); !given.empty())
    status.mutable_image()->set_image(given);
  status.set_image_ref(record.image_ref());
  status.set_image_id(record.image_id());
  *status.mutable_labels() = config.labels();
  *status.mutable_annotations() = config.annotations();
  *status.mutable_mounts() = config.mounts();
  int images = 0;
  for (v1::Mount& mount : *status.mutable_mounts()) {
    if (mount.image().image().empty() || images >= record.image_mounts_size()) continue;
    mount.mutable_image()->set_image_ref(record.image_mounts(images++).image_ref());
  }
  status.set_log_path(record.log_path());
  *status.mutable_resources()->mutable_linux() = record.resources();
  *status.mutable_user()->mutable_linux() = record.user();
  status.set_stop_signal(spec::criSignal(record.stop_signal()));
  return status;
}

}  // namespace berth::engine
