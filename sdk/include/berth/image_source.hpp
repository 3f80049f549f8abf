// C++ wrapper of berth/image_source.h.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "berth/image_source.h"
#include "berth/plugin.hpp"

namespace berth {

// berth_descriptor with its arrays laid out for this side.
struct Descriptor {
  std::string_view mediaType;
  std::string_view digest;
  uint64_t size = 0;
  std::vector<std::string_view> urls;
};

struct ImageRequest {
  std::string_view reference;
  bool hasCredentials = false;
  berth_credentials credentials{};
};

struct Resolved {
  std::string mediaType;
  std::string digest;
  std::string document;
};

// Contracts of the functions: berth/image_source.h, same names.
class ImageSource : public Plugin {
 public:
  using Kind = ImageSource;
  static constexpr std::string_view kInterface = BERTH_IMAGE_SOURCE_INTERFACE;
  using Plugin::Plugin;

  virtual bool serves(std::string_view reference) = 0;
  virtual Status resolve(const Op& op, const ImageRequest& request, uint64_t limit,
                         Resolved& out) = 0;
  virtual Status fetch(const Op& op, const ImageRequest& request, const Descriptor& descriptor,
                       uint64_t offset, Sink& out) = 0;

  static const berth_image_source* functions();
};

namespace detail {

inline Descriptor descriptor(const berth_descriptor* given) {
  const berth_descriptor d = known(given);
  Descriptor result{view(d.media_type), view(d.digest), d.blob_size, {}};
  for (size_t i = 0; i < d.url_count; ++i) result.urls.push_back(view(d.urls[i]));
  return result;
}

inline ImageRequest imageRequest(const berth_image_request* given) {
  const berth_image_request r = known(given);
  return {view(r.reference), r.credentials != nullptr, known(r.credentials)};
}

struct ImageSourceCalls {
  static ImageSource& self(void* instance) { return *static_cast<ImageSource*>(instance); }

  static int32_t serves(void* instance, berth_str reference) {
    int32_t result = 0;
    guard(nullptr, [&]() -> Status {
      result = self(instance).serves(view(reference)) ? 1 : 0;
      return {};
    });
    return result;
  }
  static berth_code resolve(void* instance, const berth_op* op, const berth_image_request* request,
                            uint64_t limit, berth_resolve_builder* out, berth_error* error) {
    return guard(error, [&]() -> Status {
      Resolved resolved;
      Status status = self(instance).resolve(Op(op), imageRequest(request), limit, resolved);
      if (!status.ok()) return status;
      berth_descriptor described = known(static_cast<const berth_descriptor*>(nullptr));
      described.media_type = str(resolved.mediaType);
      described.digest = str(resolved.digest);
      described.blob_size = resolved.document.size();
      out->set(out, &described, bytes(resolved.document));
      return {};
    });
  }
  static berth_code fetch(void* instance, const berth_op* op, const berth_image_request* request,
                          const berth_descriptor* wanted, uint64_t offset, berth_sink* out,
                          berth_error* error) {
    return guard(error, [&] {
      Sink sink(out);
      return self(instance).fetch(Op(op), imageRequest(request), descriptor(wanted), offset, sink);
    });
  }
};

}  // namespace detail

inline const berth_image_source* ImageSource::functions() {
  using Calls = detail::ImageSourceCalls;
  static const berth_image_source table = {
      .size = sizeof(berth_image_source),
      .serves = &Calls::serves,
      .resolve = &Calls::resolve,
      .fetch = &Calls::fetch,
  };
  return &table;
}

}  // namespace berth
