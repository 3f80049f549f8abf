// Certificates of a test's own.
#pragma once

#include <fstream>
#include <memory>
#include <string>

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

namespace berth::streaming {

// In PEM.
struct Identity {
  std::string certificate;
  std::string key;
};

// Issues certificates that are valid for an hour before and after now.
class Authority {
 public:
  explicit Authority(const std::string& name) : name_(name), key_(newKey()) {
    certificate_ = make(name, *key_, 1);
  }
  std::string certificate() const { return textOf(*certificate_); }
  Identity issue(const std::string& name, long serial) const {
    const Key key = newKey();
    const Certificate certificate = make(name, *key, serial);
    return {textOf(*certificate), textOf(*key)};
  }

 private:
  template <auto Free>
  struct Deleter {
    template <class T>
    void operator()(T* object) const {
      Free(object);
    }
  };
  using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
  using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
  using Memory = std::unique_ptr<BIO, Deleter<BIO_free>>;

  static Key newKey() { return Key(EVP_EC_gen("P-256")); }

  Certificate make(const std::string& name, EVP_PKEY& key, long serial) const {
    Certificate made(X509_new());
    X509_set_version(made.get(), X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made.get()), serial);
    X509_gmtime_adj(X509_getm_notBefore(made.get()), -3600);
    X509_gmtime_adj(X509_getm_notAfter(made.get()), 3600);
    setName(*X509_get_subject_name(made.get()), name);
    setName(*X509_get_issuer_name(made.get()), name_);
    X509_set_pubkey(made.get(), &key);
    if (&key == key_.get()) {
      X509_EXTENSION* ca =
          X509V3_EXT_conf_nid(nullptr, nullptr, NID_basic_constraints, "critical,CA:TRUE");
      X509_add_ext(made.get(), ca, -1);
      X509_EXTENSION_free(ca);
    }
    EXPECT_GT(X509_sign(made.get(), key_.get(), EVP_sha256()), 0);
    return made;
  }
  static void setName(X509_NAME& target, const std::string& name) {
    X509_NAME_add_entry_by_txt(&target, "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(name.data()),
                               static_cast<int>(name.size()), -1, 0);
  }
  static std::string textOf(X509& certificate) {
    const Memory memory(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(memory.get(), &certificate);
    return textOf(*memory);
  }
  static std::string textOf(EVP_PKEY& key) {
    const Memory memory(BIO_new(BIO_s_mem()));
    PEM_write_bio_PrivateKey(memory.get(), &key, nullptr, nullptr, 0, nullptr, nullptr);
    return textOf(*memory);
  }
  static std::string textOf(BIO& memory) {
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(&memory, &bytes);
    return {bytes, static_cast<size_t>(size)};
  }

  const std::string name_;
  const Key key_;
  Certificate certificate_;
};

}  // namespace berth::streaming
