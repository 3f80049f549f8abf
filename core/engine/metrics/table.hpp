// The table of all metrics.
#pragma once

#include <array>
#include <initializer_list>
#include <span>
#include <string_view>

#include <google/protobuf/repeated_field.h>

#include "cri-runtime-v1.pb.h"
#include "engine/metrics/subject.hpp"

namespace berth::metrics {

struct Metric;

// Takes the values of one metric of one subject.
class Values {
 public:
  Values(const Metric& metric, const Labels& labels,
         google::protobuf::RepeatedPtrField<runtime::v1::Metric>& metrics)
      : metric_(metric), labels_(labels), metrics_(metrics) {}

  // `labels`: the values of the metric's own label keys.
  void add(uint64_t value, std::initializer_list<std::string_view> labels = {}) {
    addOf(0, value, labels);
  }
  // A value that was found out at `timestamp` and kept since.
  void addOf(int64_t timestamp, uint64_t value, std::initializer_list<std::string_view> labels);

 private:
  const Metric& metric_;
  const Labels& labels_;
  google::protobuf::RepeatedPtrField<runtime::v1::Metric>& metrics_;
};

struct Metric {
  std::string_view name;
  std::string_view help;
  runtime::v1::MetricType type;
  std::array<std::string_view, 4> ownLabels;  // keys; empty ones are none
  void (*get)(const Subject& subject, Values& values);
};

std::span<const Metric> table();

}  // namespace berth::metrics
