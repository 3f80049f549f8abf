// The metrics of containers and pods, as cAdvisor names and labels them: what the kubelet serves
// under /metrics/cadvisor when it takes pods' statistics from the CRI.
#pragma once

#include <google/protobuf/repeated_field.h>

#include "cri-runtime-v1.pb.h"
#include "engine/metrics/subject.hpp"

namespace berth::metrics {

// What there can be (CRI, ListMetricDescriptors): the same for as long as the daemon runs. Label
// keys: those of Labels, in the order of the alphabet, and then the metric's own.
google::protobuf::RepeatedPtrField<runtime::v1::MetricDescriptor> descriptors();

// Appends those metrics of which the subject knows something. Values are whole numbers in the unit
// of the name (CRI, Metric.value). Timestamps are 0 for what was read just now (CRI,
// Metric.timestamp). Any thread, does not block.
void collect(const Subject& subject,
             google::protobuf::RepeatedPtrField<runtime::v1::Metric>& metrics);

}  // namespace berth::metrics
