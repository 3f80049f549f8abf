// OpenPGP keys and messages, as librnp understands them.
#pragma once

#include <rnp/rnp.h>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace berth::signatures {

// Public keys in memory; nothing is read from or written to any file. One thread.
class Keyring {
 public:
  Keyring() = default;
  ~Keyring() { ::rnp_ffi_destroy(ffi_); }
  Keyring(const Keyring&) = delete;
  Keyring& operator=(const Keyring&) = delete;

  absl::Status start();
  // Adds the public keys of a keyring, binary or armored. INVALID_ARGUMENT when it has none.
  absl::Status add(std::string_view keyring);
  // What the message holds when it has exactly one signature, and that is valid now, by a key that
  // is here. INVALID_ARGUMENT with the reason when not.
  absl::StatusOr<std::string> open(std::string_view message) const;

 private:
  absl::Status checkSigner(rnp_op_verify_signature_t signature) const;
  absl::Status checkKey(rnp_key_handle_t key, std::string_view what) const;

  rnp_ffi_t ffi_ = nullptr;
};

}  // namespace berth::signatures
