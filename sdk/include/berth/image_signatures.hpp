// C++ wrapper of berth/image_signatures.h. An image source offers it as any extension:
//
//     class MySource : public berth::ImageSource,
//                      public berth::Extensions<berth::ImageSignatures> { … };
#pragma once

#include <string>
#include <string_view>

#include "berth/extensions.hpp"
#include "berth/image_signatures.h"
#include "berth/image_source.hpp"

namespace berth {

struct ImageOrigin {
  std::string transport = "docker";
  std::string location;
};

// Where signatures go. What add() returns ends the call when it is no success.
class SignatureList {
 public:
  explicit SignatureList(berth_image_signature_builder* out) : out_(out) {}

  Status addSimple(std::string_view message) { return add(BERTH_SIGNATURE_SIMPLE, message, {}); }
  Status addSigstore(std::string_view payload, std::string_view signature) {
    return add(BERTH_SIGNATURE_SIGSTORE, payload, signature);
  }

 private:
  Status add(berth_signature_kind kind, std::string_view payload, std::string_view signature) {
    const berth_image_signature one = {.size = sizeof(berth_image_signature),
                                       .kind = kind,
                                       .reserved = 0,
                                       .payload = bytes(payload),
                                       .signature = str(signature)};
    const berth_code code = out_->add(out_, &one);
    if (code == BERTH_OK) return {};
    return {code, "the host takes no more signatures of this image"};
  }

  berth_image_signature_builder* out_;
};

// BERTH_EXTENSION_IMAGE_SIGNATURES. Contracts of the functions: berth/image_signatures.h.
class ImageSignatures {
 public:
  static constexpr std::string_view kId = BERTH_EXTENSION_IMAGE_SIGNATURES;
  static constexpr uint32_t kRevision = 1;
  virtual Status origin(const Op& op, const ImageRequest& request, std::string_view digest,
                        ImageOrigin& out) = 0;
  virtual Status signatures(const Op& op, const ImageRequest& request, std::string_view digest,
                            SignatureList& out) = 0;

  template <class T>
  static const berth_image_signatures* table() {
    static constexpr berth_image_signatures kTable = {
        .size = sizeof(berth_image_signatures),
        .origin = [](void* instance, const berth_op* op, const berth_image_request* request,
                     berth_str digest, berth_image_origin_builder* out,
                     berth_error* error) -> berth_code {
          return detail::guard(error, [&]() -> Status {
            ImageOrigin found;
            Status status = detail::part<T, ImageSignatures>(instance).origin(
                Op(op), detail::imageRequest(request), view(digest), found);
            if (status.ok()) out->set(out, str(found.transport), str(found.location));
            return status;
          });
        },
        .signatures = [](void* instance, const berth_op* op, const berth_image_request* request,
                         berth_str digest, berth_image_signature_builder* out,
                         berth_error* error) -> berth_code {
          return detail::guard(error, [&] {
            SignatureList list(out);
            return detail::part<T, ImageSignatures>(instance).signatures(
                Op(op), detail::imageRequest(request), view(digest), list);
          });
        }};
    return &kTable;
  }

 protected:
  ~ImageSignatures() = default;
};

}  // namespace berth
