#include <gtest/gtest.h>

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "pki/root.h"

namespace bottle::pki {
namespace {

std::string request_of(EVP_PKEY* key, EVP_PKEY* signer) {
  Request request(X509_REQ_new());
  X509_REQ_set_version(request.get(), X509_REQ_VERSION_1);
  X509_REQ_set_pubkey(request.get(), key);
  X509_REQ_sign(request.get(), signer, EVP_sha256());
  return to_pem(request.get());
}

Certificate leaf_of(EVP_PKEY* key, X509* issuer, EVP_PKEY* issuer_key, const char* constraints = "critical,CA:FALSE") {
  Certificate leaf = new_certificate(key, "allowed.example.org", 24, 30);
  X509_set_pubkey(leaf.get(), key);  // the certificate is used without being parsed again
  X509_set_issuer_name(leaf.get(), X509_get_subject_name(issuer));
  EXPECT_TRUE(extend(leaf.get(), issuer, NID_basic_constraints, constraints));
  EXPECT_TRUE(extend(leaf.get(), issuer, NID_subject_alt_name, "DNS:allowed.example.org"));
  EXPECT_GT(X509_sign(leaf.get(), issuer_key, EVP_sha256()), 0);
  return leaf;
}

// Returns the result with which a strict client verifies leaf ← chain ← root.
int verify(X509* leaf, const std::vector<X509*>& chain, X509* root, const char* host = "allowed.example.org") {
  X509_STORE* store = X509_STORE_new();
  X509_STORE_add_cert(store, root);
  STACK_OF(X509)* middle = sk_X509_new_null();
  for (X509* x : chain) sk_X509_push(middle, x);
  X509_STORE_CTX* context = X509_STORE_CTX_new();
  X509_STORE_CTX_init(context, store, leaf, middle);
  X509_STORE_CTX_set_flags(context, X509_V_FLAG_X509_STRICT);
  X509_STORE_CTX_set_purpose(context, X509_PURPOSE_SSL_SERVER);
  X509_VERIFY_PARAM_set1_host(X509_STORE_CTX_get0_param(context), host, 0);
  X509_verify_cert(context);
  int error = X509_STORE_CTX_get_error(context);
  X509_STORE_CTX_free(context);
  sk_X509_free(middle);
  X509_STORE_free(store);
  return error;
}

TEST(Root, CertifiesGuardsOfItsSessionOnly) {
  auto root = *Root::make("abcd1234"), other = *Root::make("abcd1234");
  Certificate trusted = std::move(*certificate_from(root->pem())), foreign = std::move(*certificate_from(other->pem()));
  std::string seen;
  for (int i = 0; i < 2; ++i) {
    Key guard = new_key(), key = new_key();
    auto pem = root->certify(request_of(guard.get(), guard.get()));
    ASSERT_TRUE(pem) << pem.error().what;
    EXPECT_NE(*pem, seen);
    seen = *pem;
    Certificate middle = std::move(*certificate_from(*pem));
    Certificate leaf = leaf_of(key.get(), middle.get(), guard.get());
    EXPECT_TRUE(extend(leaf.get(), middle.get(), NID_subject_key_identifier, "hash") &&
                extend(leaf.get(), middle.get(), NID_authority_key_identifier, "keyid") &&
                extend(leaf.get(), middle.get(), NID_key_usage, "critical,digitalSignature"));
    X509_sign(leaf.get(), guard.get(), EVP_sha256());
    EXPECT_EQ(verify(leaf.get(), {middle.get()}, trusted.get()), X509_V_OK);
    EXPECT_NE(verify(leaf.get(), {middle.get()}, foreign.get()), X509_V_OK);
    EXPECT_NE(verify(leaf.get(), {middle.get()}, trusted.get(), "other.example.org"), X509_V_OK);
    // A guard's authority cannot certify further authorities.
    Key sub = new_key();
    Certificate deep = leaf_of(sub.get(), middle.get(), guard.get(), "critical,CA:TRUE");
    Certificate deeper = leaf_of(key.get(), deep.get(), sub.get());
    EXPECT_NE(verify(deeper.get(), {deep.get(), middle.get()}, trusted.get()), X509_V_OK);
  }
}

TEST(Root, OnlyTheOwnerOfAP256KeyIsCertified) {
  auto root = *Root::make("abcd1234");
  Key key = new_key(), other = new_key(), rsa(EVP_RSA_gen(2048)), larger(EVP_EC_gen("P-384"));
  EXPECT_EQ(root->certify(request_of(key.get(), other.get())).error().code, Code::invalid);
  EXPECT_EQ(root->certify(request_of(rsa.get(), rsa.get())).error().code, Code::invalid);
  EXPECT_EQ(root->certify(request_of(larger.get(), larger.get())).error().code, Code::invalid);
  EXPECT_EQ(root->certify("").error().code, Code::invalid);
  EXPECT_EQ(
      root->certify("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n").error().code,
      Code::invalid);
  EXPECT_EQ(root->certify(root->pem()).error().code, Code::invalid);
  EXPECT_EQ(root->certify(std::string(10000, 'A')).error().code, Code::limit);
}

}  // namespace
}  // namespace bottle::pki
