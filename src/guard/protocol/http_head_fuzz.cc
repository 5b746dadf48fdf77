#include <cstdlib>

#include "guard/protocol/http_head.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  bottle::guard::Head head;
  if (bottle::guard::parse_request(bytes, head) == bottle::guard::Parse::ok) {
    if (head.size > size || head.size > bottle::guard::kMaxHead + 2 ||
        !bytes.substr(0, head.size).ends_with("\r\n\r\n"))
      std::abort();
    if (head.chunked && head.content_length) std::abort();
  }
  if (bottle::guard::parse_response(bytes, head) == bottle::guard::Parse::ok &&
      (head.status < 100 || head.status > 599))
    std::abort();
  return 0;
}
