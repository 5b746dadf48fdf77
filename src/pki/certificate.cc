// Wraps OpenSSL so that each object has an owner. A guard makes a certificate for each host that it inspects, while a
// client waits, so this code does by hand what OpenSSL's convenient functions take long for.

#include "pki/certificate.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <algorithm>

namespace bottle::pki {
namespace {

// Returns the content of a memory BIO and frees it.
std::string taken_from(BIO* bio) {
  char* data = nullptr;
  long size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<size_t>(size));
  BIO_free(bio);
  return text;
}

}  // namespace

Key new_key() { return Key(EVP_EC_gen("P-256")); }

namespace {

// Encodes the key without X509_set_pubkey, which first builds an encoder and a decoder and takes longer than generating
// the key. The encoding of a P-256 key never changes.
bool put_public_key(X509* certificate, EVP_PKEY* key) {
  char group[32] = "";
  if (EVP_PKEY_get_group_name(key, group, sizeof group, nullptr) != 1 || std::string_view(group) != SN_X9_62_prime256v1)
    return X509_set_pubkey(certificate, key) == 1;
  unsigned char* point = nullptr;
  size_t size = EVP_PKEY_get1_encoded_public_key(key, &point);
  bool put = size > 0 && X509_PUBKEY_set0_param(X509_get_X509_PUBKEY(certificate),
                                                OBJ_nid2obj(NID_X9_62_id_ecPublicKey), V_ASN1_OBJECT,
                                                OBJ_nid2obj(NID_X9_62_prime256v1), point, static_cast<int>(size)) == 1;
  // After a success, the certificate owns the bytes.
  if (!put) OPENSSL_free(point);
  return put;
}

}  // namespace

Certificate new_certificate(EVP_PKEY* key, std::string_view name, int before_hours, int days) {
  Certificate certificate(X509_new());
  unsigned char serial[16];
  if (!certificate || RAND_bytes(serial, sizeof serial) != 1) return nullptr;
  serial[0] = (serial[0] & 0x7f) | 0x40;  // positive, and always of the same length
  BIGNUM* number = BN_bin2bn(serial, sizeof serial, nullptr);
  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate.get()));
  BN_free(number);
  // Extensions need version 3.
  X509_set_version(certificate.get(), X509_VERSION_3);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600L * before_hours);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 24L * 3600 * days);
  if (!put_public_key(certificate.get(), key)) return nullptr;
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  // 64 is the limit of the standard for a common name (RFC 5280, ub-common-name), which OpenSSL enforces.
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name.data()),
                             static_cast<int>(std::min<size_t>(name.size(), 64)), -1, 0);
  // The certificate names itself as issuer until its signer sets another name.
  X509_set_issuer_name(certificate.get(), subject);
  return certificate;
}

bool extend(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  // Extensions such as key identifiers find the keys of subject and issuer in the context. It has no configuration
  // database.
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  if (!extension) return false;
  bool ok = X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return ok;
}

std::string to_pem(X509* certificate) {
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, certificate);
  return taken_from(bio);
}

std::string to_pem(X509_REQ* request) {
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509_REQ(bio, request);
  return taken_from(bio);
}

Result<Certificate> certificate_from(std::string_view pem) {
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  Certificate certificate(PEM_read_bio_X509(bio, nullptr, nullptr, nullptr));
  BIO_free(bio);
  if (!certificate) return fail(Code::invalid, "it is not a certificate in PEM format: " + last_error());
  return certificate;
}

std::string last_error() {
  unsigned long code = ERR_peek_last_error();
  // The queue belongs to the thread. An old error in it would be reported with the next failure.
  ERR_clear_error();
  if (!code) return "unknown";
  char text[160];
  ERR_error_string_n(code, text, sizeof text);
  return text;
}

}  // namespace bottle::pki
