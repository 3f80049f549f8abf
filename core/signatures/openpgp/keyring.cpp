#include "keyring.hpp"

#include <memory>
#include <rnp/rnp_err.h>
#include <type_traits>

#include "berth/support/status.hpp"
#include "frames.hpp"

namespace berth::signatures {

using support::strCat;

namespace {

template <auto Destroy>
struct Destroyer {
  template <class Handle>
  void operator()(Handle* handle) const {
    Destroy(handle);
  }
};
template <class Handle, auto Destroy>
using Owned = std::unique_ptr<std::remove_pointer_t<Handle>, Destroyer<Destroy>>;

using Input = Owned<rnp_input_t, &::rnp_input_destroy>;
using Output = Owned<rnp_output_t, &::rnp_output_destroy>;
using Key = Owned<rnp_key_handle_t, &::rnp_key_handle_destroy>;
using Verification = Owned<rnp_op_verify_t, &::rnp_op_verify_destroy>;
using Text = Owned<char*, &::rnp_buffer_destroy>;

absl::Status refused(std::string_view why) {
  return absl::InvalidArgumentError(std::string(why));
}

absl::Status failed(std::string_view doing, rnp_result_t result) {
  return absl::InternalError(strCat(doing, ": ", ::rnp_result_to_string(result)));
}

absl::StatusOr<Input> inputOf(std::string_view bytes) {
  if (bytes.empty()) return refused("it is empty");
  rnp_input_t input = nullptr;
  const rnp_result_t result = ::rnp_input_from_memory(
      &input, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), false);
  if (result != RNP_SUCCESS) return failed("read from memory", result);
  return Input(input);
}

}  // namespace

absl::Status Keyring::start() {
  const rnp_result_t result = ::rnp_ffi_create(&ffi_, "GPG", "GPG");
  return result == RNP_SUCCESS ? absl::OkStatus() : failed("start librnp", result);
}

absl::Status Keyring::add(std::string_view keyring) {
  BERTH_ASSIGN_OR_RETURN(const Input input, inputOf(keyring));
  // Certifications of others by algorithms of their own make no key useless.
  char* told = nullptr;
  const rnp_result_t result = ::rnp_import_keys(
      ffi_, input.get(), RNP_LOAD_SAVE_PUBLIC_KEYS | RNP_LOAD_SAVE_PERMISSIVE, &told);
  const Text keys(told);
  if (result != RNP_SUCCESS)
    return refused(strCat("it holds no OpenPGP keys: ", ::rnp_result_to_string(result)));
  // JSON with an entry for each, known before or not.
  if (!keys || std::string_view(keys.get()).find("\"fingerprint\"") == std::string_view::npos)
    return refused("it holds no OpenPGP public key that can be used");
  return absl::OkStatus();
}

absl::Status Keyring::checkKey(rnp_key_handle_t key, std::string_view what) const {
  bool revoked = true;
  bool expired = true;
  bool valid = false;
  if (::rnp_key_is_revoked(key, &revoked) != RNP_SUCCESS || revoked)
    return refused(strCat(what, " is revoked"));
  if (::rnp_key_is_expired(key, &expired) != RNP_SUCCESS || expired)
    return refused(strCat(what, " has expired"));
  if (::rnp_key_is_valid(key, &valid) != RNP_SUCCESS || !valid)
    return refused(strCat(what, " is not valid"));
  return absl::OkStatus();
}

absl::Status Keyring::checkSigner(rnp_op_verify_signature_t signature) const {
  const rnp_result_t result = ::rnp_op_verify_signature_get_status(signature);
  if (result == RNP_ERROR_KEY_NOT_FOUND) return refused("it is of no key of the policy");
  rnp_key_handle_t handle = nullptr;
  if (::rnp_op_verify_signature_get_key(signature, &handle) != RNP_SUCCESS || handle == nullptr)
    return refused(strCat("it is not valid: ", ::rnp_result_to_string(result)));
  const Key key(handle);
  char* digits = nullptr;
  ::rnp_key_get_fprint(key.get(), &digits);
  const Text fingerprint(digits);
  const std::string name = strCat("its key ", fingerprint ? fingerprint.get() : "");
  BERTH_RETURN_IF_ERROR(checkKey(key.get(), name));
  if (result == RNP_ERROR_SIGNATURE_EXPIRED) return refused("it has expired");
  if (result != RNP_SUCCESS)
    return refused(strCat("it is not valid: ", ::rnp_result_to_string(result)));
  bool signs = false;
  if (::rnp_key_allows_usage(key.get(), "sign", &signs) != RNP_SUCCESS || !signs)
    return refused(strCat(name, " is not for signing"));
  bool primary = false;
  if (::rnp_key_is_primary(key.get(), &primary) != RNP_SUCCESS) return refused("its key is none");
  if (primary) return absl::OkStatus();
  char* of = nullptr;
  ::rnp_key_get_primary_fprint(key.get(), &of);
  const Text owner(of);
  handle = nullptr;
  if (!owner || ::rnp_locate_key(ffi_, "fingerprint", owner.get(), &handle) != RNP_SUCCESS ||
      handle == nullptr) {
    return refused(strCat(name, " is a subkey of none of the policy's"));
  }
  const Key main(handle);
  return checkKey(main.get(), strCat("the primary key ", owner.get(), " of ", name));
}

absl::StatusOr<std::string> Keyring::open(std::string_view message) const {
  BERTH_ASSIGN_OR_RETURN(const Input input, inputOf(message));
  rnp_output_t target = nullptr;
  rnp_result_t result = ::rnp_output_to_memory(&target, frames::kMostAnswerBytes);
  if (result != RNP_SUCCESS) return failed("make room for a message", result);
  const Output output(target);
  rnp_op_verify_t operation = nullptr;
  result = ::rnp_op_verify_create(&operation, ffi_, input.get(), output.get());
  if (result != RNP_SUCCESS) return failed("verify a message", result);
  const Verification verification(operation);
  ::rnp_op_verify_set_flags(operation, RNP_VERIFY_REQUIRE_ALL_SIGS);
  const rnp_result_t verified = ::rnp_op_verify_execute(operation);

  size_t count = 0;
  ::rnp_op_verify_get_signature_count(operation, &count);
  if (count == 0 && verified != RNP_SUCCESS)
    return refused(strCat("it is no OpenPGP message: ", ::rnp_result_to_string(verified)));
  // Of several, which one counts would be for the reader to choose.
  if (count != 1) return refused(strCat("it has ", count, " signatures instead of one"));
  rnp_op_verify_signature_t signature = nullptr;
  if (::rnp_op_verify_get_signature_at(operation, 0, &signature) != RNP_SUCCESS)
    return refused("its signature cannot be read");
  BERTH_RETURN_IF_ERROR(checkSigner(signature));
  if (verified != RNP_SUCCESS)
    return refused(strCat("it is not valid: ", ::rnp_result_to_string(verified)));
  char* mode = nullptr;
  ::rnp_op_verify_get_protection_info(operation, &mode, nullptr, nullptr);
  const Text protection(mode);
  if (!protection || std::string_view(protection.get()) != "none")
    return refused("it is encrypted");
  uint8_t* bytes = nullptr;
  size_t size = 0;
  if (::rnp_output_memory_get_buf(output.get(), &bytes, &size, false) != RNP_SUCCESS)
    return refused("it holds nothing");
  return std::string(reinterpret_cast<const char*>(bytes), size);
}

}  // namespace berth::signatures
