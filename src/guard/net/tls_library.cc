// Prepares OpenSSL for this process and gives its errors in words.
#include <openssl/err.h>
#include <openssl/sslerr.h>

#include <cstdlib>
#include <cstring>

#include "guard/net/tls.h"

namespace bottle::guard {
namespace {

// Record and handshake buffers (16 to 24 KB) are allocated and freed with every burst. On the heap, they would leave
// holes between the small objects that stay, and an idle connection would cost three times its own size.
constexpr size_t kLeast = 16 * 1024, kBuffer = 24 * 1024, kPool = 16;
alignas(64) char g_slab[kPool][kBuffer];  // a page of it costs nothing until it is first used
void* g_idle[kPool];
size_t g_idles = 0, g_fresh = 0;

bool of_slab(const void* p) { return p >= &g_slab[0] && p < &g_slab[kPool]; }

void* allocate(size_t size, const char*, int) {
  if (size >= kLeast && size <= kBuffer) {
    if (g_idles) return g_idle[--g_idles];
    if (g_fresh < kPool) return g_slab[g_fresh++];
  }
  return size ? std::malloc(size) : nullptr;
}

void release(void* p, const char*, int) {
  // The number of the pool's buffers bounds the list, so no check is needed.
  if (of_slab(p)) g_idle[g_idles++] = p;
  else std::free(p);
}

// Implements realloc(3) for memory that may come from the pool of buffers or from malloc(3).
void* reallocate(void* p, size_t size, const char* file, int line) {
  if (!p) return allocate(size, file, line);
  if (size == 0) return release(p, file, line), nullptr;
  if (!of_slab(p)) return std::realloc(p, size);
  // Every buffer of the pool has the full size already.
  if (size <= kBuffer) return p;
  void* larger = std::malloc(size);
  if (!larger) return nullptr;
  std::memcpy(larger, p, kBuffer);
  release(p, file, line);
  return larger;
}

}  // namespace

void start_tls() {
  // The library refuses this once it has allocated anything.
  CRYPTO_set_mem_functions(allocate, reallocate, release);
  OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, nullptr);
}

std::string_view tls_reason() {
  // Many servers close a kept connection without close_notify. That ends the connection and is not an error of TLS.
  if (ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) return "";
  const char* text = ERR_reason_error_string(ERR_peek_last_error());
  return text ? text : "";
}

std::string tls_error(const SSL* ssl) {
  if (ssl)
    if (long result = SSL_get_verify_result(ssl); result != X509_V_OK) return X509_verify_cert_error_string(result);
  unsigned long code = ERR_peek_last_error();
  if (!code) return "connection closed";
  char text[160];
  ERR_error_string_n(code, text, sizeof text);
  return text;
}

}  // namespace bottle::guard
