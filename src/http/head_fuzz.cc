#include <cstdlib>

#include "http/head.h"

using namespace bottle::http;

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  Head head;
  if (parse_request(bytes, head) == bottle::Parse::ok) {
    check(head.size <= size && head.size <= kMaxHead + 4 && bytes.substr(0, head.size).ends_with(head.text));
    check(head.text.ends_with("\r\n\r\n"));
    check(!head.chunked || !head.content_length);
  }
  if (parse_response(bytes, head) == bottle::Parse::ok) check(head.status >= 100 && head.status <= 999);
  // A repaired head must be valid as it is, and the bytes after the head must be unchanged.
  std::string answer(bytes);
  if (repair_response(answer, head) == bottle::Parse::ok) {
    check(!head.keeps_open() && parse_response(answer, head) == bottle::Parse::ok);
    check(bytes.ends_with(std::string_view(answer).substr(head.size)));
  }
  return 0;
}
