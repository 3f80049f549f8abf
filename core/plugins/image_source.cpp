#include "plugins/image_source.hpp"

#include <optional>

#include "berth/support/status.hpp"
#include "plugins/image_request.hpp"
#include "plugins/sinks.hpp"
#include "plugins/taking.hpp"

namespace berth::plugins {

namespace {

class ResolveBuilder {
 public:
  berth_resolve_builder* get() { return &builder_; }
  std::optional<Resolved>& result() { return result_; }
  const Taking& taking() const { return taking_; }

 private:
  static void set(berth_resolve_builder* builder, const berth_descriptor* given,
                  berth_bytes document) {
    auto& self = *static_cast<ResolveBuilder*>(builder->host);
    self.taking_.take(given, [&](const berth_descriptor& descriptor) -> Status {
      self.result_ = Resolved{{takenText(descriptor.media_type),
                               takenText(descriptor.digest),
                               descriptor.blob_size,
                               {},
                               {}},
                              takenBytes(view(document))};
      return {};
    });
  }

  Taking taking_;
  std::optional<Resolved> result_;
  berth_resolve_builder builder_{sizeof(berth_resolve_builder), this, &set};
};

class ForwardingSink {
 public:
  explicit ForwardingSink(const ByteSink& out) : out_(out) {}
  berth_sink* get() { return &sink_; }
  const absl::Status& failure() const { return failure_; }

 private:
  static berth_code write(berth_sink* sink, const void* data, size_t length) {
    auto& self = *static_cast<ForwardingSink*>(sink->host);
    if (data == nullptr && length > 0) return BERTH_INVALID_ARGUMENT;
    return detail::guard(nullptr, [&]() -> Status {
      isolation::demandText(length);
      absl::Status status = self.out_({static_cast<const char*>(data), length});
      if (!status.ok()) self.failure_ = status;
      return status;
    });
  }

  const ByteSink& out_;
  absl::Status failure_;
  berth_sink sink_{sizeof(berth_sink), this, &write};
};

}  // namespace

ImageSource::ImageSource(Instance& instance) : instance_(instance) {
  copyTable(Kind::kImageSource, instance.library().description().functions, &table_, sizeof table_)
      .IgnoreError();
}

bool ImageSource::serves(const std::string& reference) {
  int32_t serves = 0;
  const absl::Status status = instance_.call(reference, [&](berth_error*) -> berth_code {
    serves = table_.serves(instance_.handle(), str(reference));
    return BERTH_OK;
  });
  instance_.complain(support::strCat("serves ", reference), status);
  return status.ok() && serves != 0;
}

absl::StatusOr<Resolved> ImageSource::resolve(const Operation& op, const ImageRequest& request,
                                              uint64_t limit) {
  AbiRequest abi(request);
  ResolveBuilder builder;
  const absl::Status called = instance_.call(op, request.reference, [&](berth_error* error) {
    return table_.resolve(instance_.handle(), op.op(), &abi.abi, limit, builder.get(), error);
  });
  BERTH_RETURN_IF_ERROR(builder.taking().judge(name(), called));
  if (!builder.result().has_value()) {
    return absl::InternalError(
        support::strCat("plugin ", name(), " resolved ", request.reference, " without a result"));
  }
  return *std::move(builder.result());
}

absl::Status ImageSource::fetch(const Operation& op, const ImageRequest& request,
                                const Descriptor& descriptor, uint64_t offset,
                                const ByteSink& out) {
  AbiRequest abi(request);
  const std::vector<berth_str> urls = strings(descriptor.urls);
  const std::vector<berth_pair> annotations = pairs(descriptor.annotations);
  const berth_descriptor wanted = {.size = sizeof(berth_descriptor),
                                   .media_type = str(descriptor.mediaType),
                                   .digest = str(descriptor.digest),
                                   .blob_size = descriptor.size,
                                   .urls = urls.data(),
                                   .url_count = urls.size(),
                                   .annotations = annotations.data(),
                                   .annotation_count = annotations.size()};
  ForwardingSink sink(out);
  absl::Status status = instance_.call(op, request.reference, [&](berth_error* error) {
    return table_.fetch(instance_.handle(), op.op(), &abi.abi, &wanted, offset, sink.get(), error);
  });
  if (!status.ok() && !sink.failure().ok()) return sink.failure();
  return status;
}

}  // namespace berth::plugins
