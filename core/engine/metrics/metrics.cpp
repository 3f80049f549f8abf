#include "engine/metrics/metrics.hpp"

#include "engine/metrics/table.hpp"

namespace berth::metrics {

namespace v1 = runtime::v1;

namespace {

constexpr std::string_view kLabelKeys[] = {"container", "id", "image", "name", "namespace", "pod"};

void addLabels(const Labels& labels, v1::Metric& metric) {
  // In the order of kLabelKeys.
  for (const std::string* value : {&labels.container, &labels.id, &labels.image, &labels.name,
                                   &labels.podNamespace, &labels.pod}) {
    metric.add_label_values(*value);
  }
}

}  // namespace

void Values::addOf(int64_t timestamp, uint64_t value,
                   std::initializer_list<std::string_view> labels) {
  v1::Metric& metric = *metrics_.Add();
  metric.set_name(metric_.name.data(), metric_.name.size());
  metric.set_timestamp(timestamp);
  metric.set_metric_type(metric_.type);
  metric.mutable_label_values()->Reserve(static_cast<int>(std::size(kLabelKeys) + labels.size()));
  addLabels(labels_, metric);
  for (const std::string_view label : labels) metric.add_label_values(label.data(), label.size());
  metric.mutable_value()->set_value(value);
}

google::protobuf::RepeatedPtrField<v1::MetricDescriptor> descriptors() {
  google::protobuf::RepeatedPtrField<v1::MetricDescriptor> result;
  for (const Metric& metric : table()) {
    v1::MetricDescriptor& descriptor = *result.Add();
    descriptor.set_name(std::string(metric.name));
    descriptor.set_help(std::string(metric.help));
    for (const std::string_view key : kLabelKeys) descriptor.add_label_keys(std::string(key));
    for (const std::string_view key : metric.ownLabels) {
      if (!key.empty()) descriptor.add_label_keys(std::string(key));
    }
  }
  return result;
}

void collect(const Subject& subject, google::protobuf::RepeatedPtrField<v1::Metric>& metrics) {
  for (const Metric& metric : table()) {
    Values values(metric, subject.labels, metrics);
    metric.get(subject, values);
  }
}

}  // namespace berth::metrics
