// Checks which sessions the guard keeps for later connections to the same server.
#include "guard/net/tls.h"

#include <openssl/bio.h>

#include <gtest/gtest.h>

namespace bottle::guard {
namespace {

int add_padding(SSL* ssl, void* padding) {
  const auto* text = static_cast<const std::string*>(padding);
  return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), text->data(), text->size());
}

// Returns whether a second connection offers the session of a first one, in whose tickets the server has put so many
// bytes of its own.
bool keeps_tickets_with(size_t bytes) {
  auto ca = std::move(*SessionCa::self_signed());
  std::unique_ptr<SSL_CTX, FreeTls> roots{make_upstream_context(ca->pem())};
  Ssl client = std::move(*connect_tls(roots.get(), {"a.test", false}, 443));
  Ssl server = std::move(*ca->accept({"a.test", false}, Offer::http1));
  std::string padding(bytes, 'x');
  SSL_CTX_set_session_ticket_cb(SSL_get_SSL_CTX(server.get()), add_padding, nullptr, &padding);
  SSL_set_num_tickets(server.get(), 1);
  BIO *at_client = nullptr, *at_server = nullptr;
  BIO_new_bio_pair(&at_client, 1 << 20, &at_server, 1 << 20);
  SSL_set_bio(client.get(), at_client, at_client);
  SSL_set_bio(server.get(), at_server, at_server);
  for (int i = 0; i < 4; ++i)
    for (SSL* each : {client.get(), server.get()}) SSL_do_handshake(each);
  EXPECT_TRUE(SSL_is_init_finished(client.get()) && SSL_is_init_finished(server.get())) << tls_error();
  char byte;
  EXPECT_LE(SSL_read(client.get(), &byte, 1), 0) << "it has read only the ticket";
  Ssl next = std::move(*connect_tls(roots.get(), {"a.test", false}, 443));
  return SSL_get_session(next.get()) != nullptr;
}

TEST(TlsSessions, AreKeptUnlessTheirTicketsAreLarge) {
  EXPECT_TRUE(keeps_tickets_with(10));
  EXPECT_FALSE(keeps_tickets_with(60'000));
}

}  // namespace
}  // namespace bottle::guard
