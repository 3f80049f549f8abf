// OpenPGP keys that are made for a test, and messages that they sign.
#pragma once

#include <rnp/rnp.h>
#include <rnp/rnp_err.h>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace berth::signatures::testing {

class OpenPgpKey {
 public:
  // `now`: when all of this happens, in seconds since the epoch; 0: it is not put back.
  explicit OpenPgpKey(const char* name, uint32_t lifetimeSeconds = 0, uint64_t now = 0) {
    EXPECT_EQ(::rnp_ffi_create(&ffi_, "GPG", "GPG"), RNP_SUCCESS);
    if (now != 0) {
      EXPECT_EQ(::rnp_set_timestamp(ffi_, now), RNP_SUCCESS);
    }
    rnp_op_generate_t making = nullptr;
    EXPECT_EQ(::rnp_op_generate_create(&making, ffi_, "EDDSA"), RNP_SUCCESS);
    EXPECT_EQ(::rnp_op_generate_set_userid(making, name), RNP_SUCCESS);
    EXPECT_EQ(::rnp_op_generate_add_usage(making, "sign"), RNP_SUCCESS);
    EXPECT_EQ(::rnp_op_generate_add_usage(making, "certify"), RNP_SUCCESS);
    EXPECT_EQ(::rnp_op_generate_set_expiration(making, lifetimeSeconds), RNP_SUCCESS);
    EXPECT_EQ(::rnp_op_generate_execute(making), RNP_SUCCESS);
    EXPECT_EQ(::rnp_op_generate_get_key(making, &key_), RNP_SUCCESS);
    ::rnp_op_generate_destroy(making);
  }
  ~OpenPgpKey() {
    ::rnp_key_handle_destroy(key_);
    ::rnp_ffi_destroy(ffi_);
  }
  OpenPgpKey(const OpenPgpKey&) = delete;
  OpenPgpKey& operator=(const OpenPgpKey&) = delete;

  std::string exported(uint32_t flags = 0) const {
    rnp_output_t output = nullptr;
    EXPECT_EQ(::rnp_output_to_memory(&output, 0), RNP_SUCCESS);
    EXPECT_EQ(::rnp_key_export(key_, output, RNP_KEY_EXPORT_PUBLIC | flags), RNP_SUCCESS);
    return taken(output);
  }
  std::string armored() const { return exported(RNP_KEY_EXPORT_ARMORED); }
  void revoke() const {
    EXPECT_EQ(::rnp_key_revoke(key_, 0, "SHA256", "compromised", nullptr), RNP_SUCCESS);
  }

  // Signed by this key and by the others.
  std::string sign(std::string_view text, const std::vector<const OpenPgpKey*>& others = {},
                   uint32_t lifetimeSeconds = 0) const {
    rnp_input_t input = nullptr;
    rnp_output_t output = nullptr;
    rnp_op_sign_t signing = nullptr;
    EXPECT_EQ(::rnp_input_from_memory(&input, reinterpret_cast<const uint8_t*>(text.data()),
                                      text.size(), false),
              RNP_SUCCESS);
    EXPECT_EQ(::rnp_output_to_memory(&output, 0), RNP_SUCCESS);
    EXPECT_EQ(::rnp_op_sign_create(&signing, ffi_, input, output), RNP_SUCCESS);
    EXPECT_EQ(::rnp_op_sign_add_signature(signing, key_, nullptr), RNP_SUCCESS);
    for (const OpenPgpKey* other : others)
      EXPECT_EQ(::rnp_op_sign_add_signature(signing, other->key_, nullptr), RNP_SUCCESS);
    EXPECT_EQ(::rnp_op_sign_set_expiration_time(signing, lifetimeSeconds), RNP_SUCCESS);
    EXPECT_EQ(::rnp_op_sign_execute(signing), RNP_SUCCESS);
    ::rnp_op_sign_destroy(signing);
    ::rnp_input_destroy(input);
    return taken(output);
  }

 private:
  static std::string taken(rnp_output_t output) {
    uint8_t* bytes = nullptr;
    size_t size = 0;
    EXPECT_EQ(::rnp_output_memory_get_buf(output, &bytes, &size, false), RNP_SUCCESS);
    std::string text(reinterpret_cast<const char*>(bytes), size);
    ::rnp_output_destroy(output);
    return text;
  }

  rnp_ffi_t ffi_ = nullptr;
  rnp_key_handle_t key_ = nullptr;
};

}  // namespace berth::signatures::testing
