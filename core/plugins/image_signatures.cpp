// What an image source may tell beyond its interface (berth/image_signatures.h).
#include <optional>

#include "berth/support/status.hpp"
#include "plugins/image_request.hpp"
#include "plugins/image_source.hpp"
#include "plugins/sinks.hpp"

namespace berth::plugins {

using support::strCat;

namespace {

constexpr uint32_t kRevision = 1;
// They are kept with the image's record: bounds that no image of anybody's comes near to.
constexpr size_t kMostSignatures = 128;
constexpr size_t kMostBytes = 512u << 10;

class OriginBuilder {
 public:
  berth_image_origin_builder* get() { return &builder_; }
  std::optional<ImageOrigin>& result() { return result_; }
  const Taking& taking() const { return taking_; }

 private:
  static void set(berth_image_origin_builder* builder, berth_str transport, berth_str location) {
    auto& self = *static_cast<OriginBuilder*>(builder->host);
    self.taking_.take([&]() -> Status {
      self.result_ = ImageOrigin{takenText(transport), takenText(location)};
      return {};
    });
  }

  Taking taking_;
  std::optional<ImageOrigin> result_;
  berth_image_origin_builder builder_{sizeof(berth_image_origin_builder), this, &set};
};

class SignatureBuilder {
 public:
  berth_image_signature_builder* get() { return &builder_; }
  std::vector<ImageSignature>& result() { return result_; }
  bool full() const { return full_; }
  const Taking& taking() const { return taking_; }

 private:
  static berth_code add(berth_image_signature_builder* builder,
                        const berth_image_signature* given) {
    auto& self = *static_cast<SignatureBuilder*>(builder->host);
    return self.taking_.take(given, [&](const berth_image_signature& one) -> Status {
      const size_t size = one.payload.size + one.signature.size;
      if (self.result_.size() == kMostSignatures || one.payload.size > kMostBytes ||
          size > kMostBytes - self.bytes_) {
        self.full_ = true;
        return {BERTH_RESOURCE_EXHAUSTED, "too many signatures"};
      }
      self.bytes_ += size;
      // Records are read as text in part: base64 is, and what is not is no signature.
      self.result_.push_back({one.kind, std::string(view(one.payload)), takenText(one.signature)});
      return {};
    });
  }

  Taking taking_;
  std::vector<ImageSignature> result_;
  size_t bytes_ = 0;
  bool full_ = false;
  berth_image_signature_builder builder_{sizeof(berth_image_signature_builder), this, &add};
};

}  // namespace

void ImageSource::findExtensions() {
  instance_.extension(BERTH_EXTENSION_IMAGE_SIGNATURES, kRevision, &signatures_,
                      sizeof signatures_);
}

absl::StatusOr<ImageOrigin> ImageSource::origin(const Operation& op, const ImageRequest& request,
                                                const std::string& digest) {
  if (signatures_.origin == nullptr) return ImageOrigin{};
  AbiRequest abi(request);
  OriginBuilder builder;
  const absl::Status called = instance_.call(op, request.reference, [&](berth_error* error) {
    return signatures_.origin(instance_.handle(), op.op(), &abi.abi, str(digest), builder.get(),
                              error);
  });
  BERTH_RETURN_IF_ERROR(builder.taking().judge(name(), called));
  if (!builder.result().has_value()) {
    return absl::InternalError(
        strCat("plugin ", name(), " does not tell where ", request.reference, " comes from"));
  }
  return *std::move(builder.result());
}

absl::StatusOr<std::vector<ImageSignature>> ImageSource::signatures(const Operation& op,
                                                                    const ImageRequest& request,
                                                                    const std::string& digest) {
  if (signatures_.signatures == nullptr) return std::vector<ImageSignature>();
  AbiRequest abi(request);
  SignatureBuilder builder;
  const absl::Status called = instance_.call(op, request.reference, [&](berth_error* error) {
    return signatures_.signatures(instance_.handle(), op.op(), &abi.abi, str(digest), builder.get(),
                                  error);
  });
  if (builder.full()) {
    return absl::ResourceExhaustedError(strCat("the signatures of ", digest, " are more than ",
                                               kMostSignatures, " or than ", kMostBytes, " bytes"));
  }
  BERTH_RETURN_IF_ERROR(builder.taking().judge(name(), called));
  return std::move(builder.result());
}

}  // namespace berth::plugins
