// Makes two levels of authorities, so that a guard can be replaced: the agent trusts the root for the whole session,
// and the root signs the key that each guard makes for itself. The extensions limit what a thief could do with a
// guard's key: it cannot sign further authorities (path length 0), and can sign only certificates for TLS servers.
// From a request, only the public key is taken. The root chooses the name, the times and the extensions, because the
// request comes from the container of the guard.

#include "pki/root.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace bottle::pki {
namespace {

constexpr size_t kMostRequest = 8192;
// A session can last any time, but must be started again when the root expires. A shorter validity could break a long
// job.
constexpr int kDays = 90;

bool is_p256(EVP_PKEY* key) {
  char group[32];
  size_t size = 0;
  return key && EVP_PKEY_is_a(key, "EC") &&
         EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group, &size) == 1 &&
         std::string_view(group, size) == SN_X9_62_prime256v1;
}

}  // namespace

Result<std::shared_ptr<const Root>> Root::make(const std::string& session) {
  // A configuration file of the machine could load other engines and defaults.
  OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
  auto root = std::make_shared<Root>();
  root->key_ = new_key();
  // The root is valid an hour and a day longer than what it signs, so that no certificate below it outlives it.
  root->certificate_ =
      root->key_ ? new_certificate(root->key_.get(), "bottle session " + session, 26, kDays + 1) : nullptr;
  X509* x = root->certificate_.get();
  bool ok = x && extend(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:1") &&
            extend(x, x, NID_key_usage, "critical,keyCertSign") && extend(x, x, NID_ext_key_usage, "serverAuth") &&
            extend(x, x, NID_subject_key_identifier, "hash") && X509_sign(x, root->key_.get(), EVP_sha256()) > 0;
  if (!ok) return fail(Code::internal, "making the session's root: " + last_error());
  return root;
}

// The authority is one level below the root and must not make others, so its path length is 0.
Result<std::string> Root::certify(std::string_view pem) const {
  // A request with a P-256 key has about 400 bytes.
  if (pem.size() > kMostRequest) return fail(Code::limit, "the guard's certificate request is too large");
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  Request request(PEM_read_bio_X509_REQ(bio, nullptr, nullptr, nullptr));
  BIO_free(bio);
  if (!request) return fail(Code::invalid, "the guard's certificate request is unreadable: " + last_error());
  EVP_PKEY* key = X509_REQ_get0_pubkey(request.get());
  // The signature shows that the requester has the private key. The kind of key is checked first, because other kinds
  // can make a verification slow.
  if (!is_p256(key) || X509_REQ_verify(request.get(), key) != 1)
    return fail(Code::invalid, "the guard's certificate request is not signed by its own P-256 key: " + last_error());
  // Each authority gets a unique name, so that two authorities of one session cannot be confused.
  Certificate certificate = new_certificate(key, "bottle guard", 25, kDays);
  X509* x = certificate.get();
  if (x) {
    X509_NAME* subject = X509_get_subject_name(x);
    ASN1_INTEGER* serial = X509_get_serialNumber(x);
    BIGNUM* number = ASN1_INTEGER_to_BN(serial, nullptr);
    char* hex = number ? BN_bn2hex(number) : nullptr;
    if (hex)
      X509_NAME_add_entry_by_txt(subject, "serialNumber", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(hex), -1,
                                 -1, 0);
    OPENSSL_free(hex);
    BN_free(number);
    X509_set_issuer_name(x, X509_get_subject_name(certificate_.get()));
  }
  X509* issuer = certificate_.get();
  bool ok =
      x && extend(x, issuer, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
      extend(x, issuer, NID_key_usage, "critical,keyCertSign") && extend(x, issuer, NID_ext_key_usage, "serverAuth") &&
      extend(x, issuer, NID_subject_key_identifier, "hash") &&
      extend(x, issuer, NID_authority_key_identifier, "keyid:always") && X509_sign(x, key_.get(), EVP_sha256()) > 0;
  if (!ok) return fail(Code::internal, "signing the guard's authority: " + last_error());
  return to_pem(x);
}

}  // namespace bottle::pki
