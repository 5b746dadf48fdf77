// Holds the two kinds of contexts: the one in which the guard is the agent's server, and those in which it is the
// client of a host. The library itself is prepared in tls_library.cc, and reads and writes as in tls_source.cc.
//
// All certificates of the agent's side have one key, so a new host costs one signature and not a new key. The checks
// of the two sides complement each other: check_name() refuses a client that asks for another host than its CONNECT
// did, and connect_tls() refuses a server that cannot prove that it is that host.
#include "guard/net/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "policy/address.h"

namespace bottle::guard {

using pki::extend;

namespace {

// --- context callbacks ---

size_t g_connections = 0;  // each has exactly one name or key

void free_key(void*, void* p, CRYPTO_EX_DATA*, int, long, void*) {
  // The library calls this for each connection, even for those without a value at this index.
  if (p) --g_connections;
  delete static_cast<std::string*>(p);
}

// Gives the connection its name or key, and counts it.
void set_key(SSL* ssl, int index, std::string key) {
  ++g_connections;
  SSL_set_ex_data(ssl, index, new std::string(std::move(key)));
}

Result<> has_room_for_connection() {
  if (g_connections < kMostTls) return {};
  return fail(Code::limit, "preparing TLS: there are too many connections already");
}

int name_index() {
  static int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, free_key);
  return index;
}
int refused_index() {
  static int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

// Refuses a client that asks for another host than its CONNECT did.
int check_name(SSL* ssl, int* alert, void*) {
  const auto* expected = static_cast<const std::string*>(SSL_get_ex_data(ssl, name_index()));
  const unsigned char* data = nullptr;
  size_t size = 0;
  std::string sni;
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &data, &size) == 1) {
    // The extension consists of the list length (2 bytes), the type (1), the name length (2) and exactly one name. A
    // list with several names is refused like one that cannot be parsed: "?" is not the name of any host.
    if (size > 5 && data[2] == 0 && size_t(data[0] << 8 | data[1]) == size - 2 &&
        size_t(data[3] << 8 | data[4]) == size - 5)
      sni.assign(reinterpret_cast<const char*>(data + 5), size - 5);
    else sni = "?";
  }
  auto named = sni.empty() ? Result<policy::Host>(policy::Host{}) : policy::normalise_host(sni);
  // A client may name no host, because the guard always asks for the host of the CONNECT. Java leaves out names with an
  // underscore.
  if (expected && (sni.empty() || (named && named->name == *expected))) return SSL_CLIENT_HELLO_SUCCESS;
  SSL_set_ex_data(ssl, refused_index(), ssl);
  *alert = SSL_AD_UNRECOGNIZED_NAME;
  return SSL_CLIENT_HELLO_ERROR;
}

// Returns the list of protocols in the format of the handshake (RFC 7301), in order of preference.
std::string_view protocols(Offer offer) {
  constexpr std::string_view kBoth = "\x02h2\x08http/1.1";
  return offer == Offer::http1 ? kBoth.substr(3) : offer == Offer::http2 ? kBoth.substr(0, 3) : kBoth;
}

int offer_index() {
  static int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

int choose_protocol(SSL* ssl, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                    unsigned in_size, void*) {
  // The data is a pointer to a constant, or null for the usual offer.
  const auto* offer = static_cast<const Offer*>(SSL_get_ex_data(ssl, offer_index()));
  std::string_view known = protocols(offer ? *offer : Offer::http1_and_2);
  unsigned char* chosen = nullptr;
  // Without a common protocol, the handshake fails with no_application_protocol (RFC 7301 §3.2), so that neither side
  // has to guess.
  if (SSL_select_next_proto(&chosen, out_size, reinterpret_cast<const unsigned char*>(known.data()),
                            static_cast<unsigned>(known.size()), in, in_size) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

// --- client certificates: a server that asks for one often says only "handshake failure" when it gets none ---

int wants_certificate_index() {
  static int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

int note_certificate_request(SSL* ssl, X509**, EVP_PKEY**) {
  SSL_set_ex_data(ssl, wants_certificate_index(), ssl);
  return 0;  // no certificate
}

// Returns `name` with its first label replaced by one that is in no certificate, so that only a wildcard matches it.
std::string under_wildcard(const std::string& name) {
  unsigned char random[16];
  RAND_bytes(random, sizeof random);
  std::string label;
  for (unsigned char byte : random)
    label += {static_cast<char>('a' + (byte >> 4)), static_cast<char>('a' + (byte & 15))};
  return label + name.substr(name.find('.'));
}

// Returns whether the first label has an underscore. All clients match such a label with a wildcard, but the library
// does not.
bool has_underscore_label(const std::string& name) {
  size_t dot = name.find('.');
  return dot != name.npos && name.find('_') < dot;
}

// Sets what the guard's contexts for both sides have in common.
void common(SSL_CTX* context) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  // In the order of the flags: an idle connection keeps no record buffers, a write returns after each record, and a
  // write may be repeated from another address, because Stream::out grows and moves.
  SSL_CTX_set_mode(context,
                   SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                   SSL_OP_PRIORITIZE_CHACHA);
  // A handshake with SHA-256 costs less than one with SHA-384, and AES-128 costs less for each byte than AES-256.
  SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256");
}

// --- upstream sessions, keyed by "host:port"; each belongs to the SSL_CTX and so to one configuration ---

// A TLS 1.3 ticket is good for one connection (RFC 8446, appendix C.4; the library drops it when the handshake ends),
// so each of several simultaneous connections needs its own. Servers send one or two with every connection.
using Session = std::unique_ptr<SSL_SESSION, FreeTls>;
constexpr size_t kSessionsEach = 16, kHostsWithSessions = 256;
// Servers choose how large their tickets and certificates are, and the agent how many servers there are. Usual tickets
// have less than 1 KB.
constexpr size_t kLargestTicket = 4 * 1024, kMostInSessions = 8 << 20;

struct Sessions {
  struct Kept {
    Session session;
    size_t size;
  };
  std::map<std::string, std::vector<Kept>> of_host;
  size_t size = 0;  // of all

  void drop(std::vector<Kept>& kept, std::vector<Kept>::iterator which) {
    size -= which->size;
    kept.erase(which);
  }
  void clear() {
    of_host.clear();
    size = 0;
  }
};

// Returns the newest session that is still valid, or null.
Session take_session(Sessions& sessions, const std::string& key) {
  auto found = sessions.of_host.find(key);
  if (found == sessions.of_host.end()) return nullptr;
  auto& kept = found->second;
  while (!kept.empty() && !SSL_SESSION_is_resumable(kept.back().session.get())) sessions.drop(kept, kept.end() - 1);
  if (kept.empty()) return nullptr;
  // A session of TLS 1.2 may be resumed any number of times, so it stays in the list.
  if (SSL_SESSION_get_protocol_version(kept.back().session.get()) < TLS1_3_VERSION) {
    SSL_SESSION_up_ref(kept.back().session.get());
    return Session(kept.back().session.get());
  }
  // The newest one stays valid the longest.
  Session newest = std::move(kept.back().session);
  sessions.drop(kept, kept.end() - 1);
  return newest;
}

// Returns about how many bytes the session holds, with the certificates of the server.
size_t size_of(SSL* ssl, const SSL_SESSION* session) {
  constexpr size_t kParsed = 3;  // a parsed certificate is about three times as large as an encoded one
  size_t size = static_cast<size_t>(std::max(i2d_SSL_SESSION(session, nullptr), 0));
  const STACK_OF(X509)* chain = SSL_get_peer_cert_chain(ssl);
  for (int i = 0; i < sk_X509_num(chain); ++i)
    size += kParsed * static_cast<size_t>(std::max(i2d_X509(sk_X509_value(chain, i), nullptr), 0));
  return size;
}

void free_sessions(void*, void* p, CRYPTO_EX_DATA*, int, long, void*) { delete static_cast<Sessions*>(p); }
int sessions_index() {
  static int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, free_sessions);
  return index;
}
int key_index() {
  static int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, free_key);
  return index;
}

// Keeps a session that a server has offered, for the next connection to the same host and port.
int keep_session(SSL* ssl, SSL_SESSION* session) {
  auto* sessions = static_cast<Sessions*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), sessions_index()));
  auto* key = static_cast<std::string*>(SSL_get_ex_data(ssl, key_index()));
  // A resumed handshake sends no certificate, so a session must never come from a connection that did not verify one.
  if (!sessions || !key || SSL_get_verify_result(ssl) != X509_V_OK) return 0;
  const unsigned char* ticket = nullptr;
  size_t ticket_size = 0, size = size_of(ssl, session);
  SSL_SESSION_get0_ticket(session, &ticket, &ticket_size);
  if (ticket_size > kLargestTicket) return 0;
  // The agent chooses the hosts under a wildcard rule.
  bool full = sessions->of_host.size() >= kHostsWithSessions && !sessions->of_host.contains(*key);
  if (full || sessions->size + size > kMostInSessions) sessions->clear();
  auto& kept = sessions->of_host[*key];
  bool single = SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION;
  while (!kept.empty() && (!single || kept.size() >= kSessionsEach)) sessions->drop(kept, kept.begin());
  sessions->size += size;
  kept.push_back({Session(session), size});
  // The list owns the reference now (SSL_CTX_sess_set_new_cb(3)).
  return 1;
}

}  // namespace

Result<std::unique_ptr<SessionCa>> SessionCa::make() {
  auto ca = std::make_unique<SessionCa>();
  ca->key_ = pki::new_key();
  ca->leaf_key_ = pki::new_key();
  if (!ca->key_ || !ca->leaf_key_) return fail(Code::internal, "making the session CA: " + tls_error());
  return ca;
}

Result<std::unique_ptr<SessionCa>> SessionCa::self_signed() {
  auto ca = TRY(make());
  ca->certificate_ = pki::new_certificate(ca->key_.get(), "bottle session CA", 24, 300);
  X509* x = ca->certificate_.get();
  bool ok = x && extend(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
            extend(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") &&
            extend(x, x, NID_subject_key_identifier, "hash") && X509_sign(x, ca->key_.get(), EVP_sha256()) > 0;
  if (!ok) return fail(Code::internal, "making the session CA: " + tls_error());
  TRY(ca->serve());
  return ca;
}

std::string SessionCa::request() const {
  pki::Request request(X509_REQ_new());
  if (!request) return "";
  X509_REQ_set_version(request.get(), X509_REQ_VERSION_1);
  X509_REQ_set_pubkey(request.get(), key_.get());
  if (X509_REQ_sign(request.get(), key_.get(), EVP_sha256()) <= 0) return "";
  return pki::to_pem(request.get());
}

Result<> SessionCa::adopt(std::string_view pem) {
  if (certified()) return fail(Code::conflict, "the guard's authority has a certificate already");
  auto certificate = TRY(pki::certificate_from(pem));
  if (X509_check_private_key(certificate.get(), key_.get()) != 1 || X509_check_ca(certificate.get()) != 1) {
    ERR_clear_error();
    return fail(Code::invalid, "the certificate is not for this guard's authority");
  }
  certificate_ = std::move(certificate);
  TRY(serve());
  // Clients trust a self-signed certificate directly, so it need not be sent. Another certificate must be sent,
  // because it links the leaf to the root that they trust.
  X509_up_ref(certificate_.get());
  if (SSL_CTX_add_extra_chain_cert(context_.get(), certificate_.get()) != 1) {
    X509_free(certificate_.get());
    return fail(Code::internal, "keeping the certificate chain: " + tls_error());
  }
  return {};
}

Result<> SessionCa::serve() {
  context_.reset(SSL_CTX_new(TLS_server_method()));
  if (!context_) return fail(Code::internal, "preparing TLS: " + tls_error());
  SSL_CTX* context = context_.get();
  common(context);
  SSL_CTX_set_client_hello_cb(context, check_name, nullptr);
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  // TLS 1.3 tickets are not used: making one costs more than the signature that it saves, and its key would outlive the
  // connection.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set1_groups_list(context, "X25519:P-256:P-384");
  return {};
}

std::string SessionCa::pem() const { return certified() ? pki::to_pem(certificate_.get()) : ""; }

Result<X509*> SessionCa::leaf(const policy::Host& host) {
  if (!certified()) return fail(Code::unavailable, "the session's root has not certified this guard yet");
  if (auto found = leaves_.find(host.name); found != leaves_.end()) return found->second.get();
  auto certificate = pki::new_certificate(leaf_key_.get(), host.name, 24, 80);
  // SSL_use_certificate() asks the certificate for its key, which only the second call makes readable
  // (pki/certificate.h).
  if (!certificate || X509_set_pubkey(certificate.get(), leaf_key_.get()) != 1)
    return fail(Code::internal, "making a certificate: " + tls_error());
  X509* x = certificate.get();
  X509_set_issuer_name(x, X509_get_subject_name(certificate_.get()));
  std::string names = (host.literal ? "IP:" : "DNS:") + host.name;
  bool ok = extend(x, certificate_.get(), NID_subject_alt_name, names.c_str()) &&
            extend(x, certificate_.get(), NID_basic_constraints, "critical,CA:FALSE") &&
            extend(x, certificate_.get(), NID_key_usage, "critical,digitalSignature") &&
            extend(x, certificate_.get(), NID_ext_key_usage, "serverAuth") &&
            extend(x, certificate_.get(), NID_authority_key_identifier, "keyid") &&
            extend(x, certificate_.get(), NID_subject_key_identifier, "hash") &&
            X509_sign(x, key_.get(), EVP_sha256()) > 0;
  if (!ok) return fail(Code::internal, "signing a certificate: " + tls_error());
  // The agent chooses the names under a wildcard rule, so the cache must not grow without limit.
  if (leaves_.size() >= 512) leaves_.clear();
  return (leaves_[host.name] = std::move(certificate)).get();
}

Result<Ssl> SessionCa::accept(const policy::Host& host, Offer offer) {
  TRY(has_room_for_connection());
  X509* certificate = TRY(leaf(host));
  Ssl ssl(SSL_new(context_.get()));
  if (!ssl || SSL_use_certificate(ssl.get(), certificate) != 1 || SSL_use_PrivateKey(ssl.get(), leaf_key_.get()) != 1)
    return fail(Code::internal, "preparing TLS: " + tls_error());
  // A client names no address in SNI (RFC 6066 §3), so for an address the only acceptable name is none.
  set_key(ssl.get(), name_index(), host.literal ? "" : host.name);
  static Offer offers[] = {Offer::http1, Offer::http1_and_2, Offer::http2};
  SSL_set_ex_data(ssl.get(), offer_index(), &offers[static_cast<size_t>(offer)]);
  SSL_set_accept_state(ssl.get());
  return ssl;
}

bool refused_name(const SSL* ssl) { return SSL_get_ex_data(ssl, refused_index()) != nullptr; }

SSL_CTX* make_upstream_context(const std::string& roots) {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  if (!context) return nullptr;
  common(context);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set1_groups_list(context, "X25519:P-256:P-384");
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  // With this flag, an intermediate or a self-signed server certificate in extra_ca is trusted as it is.
  X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
  if (BIO* bio = BIO_new_mem_buf(roots.data(), static_cast<int>(roots.size()))) {
    // A block that cannot be parsed ends the list. Fewer roots then verify fewer servers.
    while (X509* certificate = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr)) {
      X509_STORE_add_cert(store, certificate);
      X509_free(certificate);
    }
    BIO_free(bio);
  }
  ERR_clear_error();
  SSL_CTX_set_ex_data(context, sessions_index(), new Sessions);
  // The library's own cache is not used, because it does not store the host and port of a session.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, keep_session);
  SSL_CTX_set_client_cert_cb(context, note_certificate_request);
  return context;
}

bool speaks_http2(const SSL* ssl) {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl, &name, &size);
  return std::string_view(reinterpret_cast<const char*>(name), size) == "h2";
}

Result<Ssl> connect_tls(SSL_CTX* context, const policy::Host& host, uint16_t port, Offer offer) {
  TRY(has_room_for_connection());
  Ssl ssl(context ? SSL_new(context) : nullptr);
  if (!ssl) return fail(Code::internal, "preparing TLS: " + tls_error());
  std::string_view offered = protocols(offer);
  SSL_set_alpn_protos(ssl.get(), reinterpret_cast<const unsigned char*>(offered.data()),
                      static_cast<unsigned>(offered.size()));
  bool ok;
  if (host.literal) {
    ok = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl.get()), host.name.c_str()) == 1;
  } else {
    // The library would also match a wildcard in a part of a label, as in "w*.example.org", which browsers refuse.
    SSL_set_hostflags(ssl.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    ok =
        SSL_set1_host(ssl.get(), host.name.c_str()) == 1 && SSL_set_tlsext_host_name(ssl.get(), host.name.c_str()) == 1;
    if (ok && has_underscore_label(host.name)) ok = SSL_add1_host(ssl.get(), under_wildcard(host.name).c_str()) == 1;
  }
  if (!ok) return fail(Code::internal, "preparing TLS: " + tls_error());
  std::string key = host.name + ":" + std::to_string(port);
  set_key(ssl.get(), key_index(), key);
  auto* sessions = static_cast<Sessions*>(SSL_CTX_get_ex_data(context, sessions_index()));
  if (auto session = take_session(*sessions, key)) SSL_set_session(ssl.get(), session.get());
  SSL_set_connect_state(ssl.get());
  return ssl;
}

size_t tls_connections() { return g_connections; }

bool wanted_certificate(const SSL* ssl) { return SSL_get_ex_data(ssl, wants_certificate_index()) != nullptr; }

}  // namespace bottle::guard
