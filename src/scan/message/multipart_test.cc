// Checks that markers in a body of several parts leave the lines between the parts as they are.
#include <gtest/gtest.h>

#include <map>

#include "scan/content/compress_test.h"
#include "scan/disguise_test.h"
#include "scan/message/stream.h"
#include "scan/message/stream_test.h"
#include "scan/rule_examples.h"

namespace bottle::scan {
namespace {

struct Part {
  std::string headers, content;
};

std::string multipart(const std::vector<Part>& parts, const std::string& boundary) {
  std::string out;
  for (const auto& [headers, content] : parts)
    out += "--" + boundary + "\r\n" + headers + "\r\n\r\n" + content + "\r\n";
  return out + "--" + boundary + "--\r\n";
}

// Returns the parts as a server reads them.
std::vector<Part> parts_of(const std::string& body, const std::string& boundary) {
  std::vector<Part> parts;
  std::string line = "\r\n--" + boundary, text = "\r\n" + body;
  for (size_t at = text.find(line); at != text.npos;) {
    size_t begin = at + line.size(), next = text.find(line, begin), blank = text.find("\r\n\r\n", begin);
    if (text.compare(begin, 2, "--") == 0 || next == text.npos || blank == text.npos || blank > next) break;
    parts.push_back({text.substr(begin + 2, blank - begin - 2), text.substr(blank + 4, next - blank - 4)});
    at = next;
  }
  return parts;
}

std::string redacted(const std::string& body, size_t piece) {
  Stream stream(&catalog(), OnFinding::redact);
  auto [out, whole] = streamed(stream, body, piece);
  EXPECT_TRUE(whole);
  return out;
}

TEST(Multipart, MarkersStayWithinTheirPart) {
  const std::string type = "Content-Disposition: form-data; name=\"file\"; filename=\"a\"\r\nContent-Type: text/plain";
  const std::string last = "{\"purpose\": \"user_data\", \"n\": 12}";
  for (uint32_t seed = 0; seed < 12; ++seed) {
    std::string token = filled("ghp_<alnum 36>", seed), text = "TOKEN=" + token;
    std::string key = "-----BEGIN PRIVATE KEY-----\n" + filled("<base64 64>\n<base64 64>\n<base64 30>", seed);
    for (const auto& [form, content] : std::map<std::string, std::string>{
             {"text", text},
             {"text with a line end", text + "\r\n"},
             {"known", std::string(kKnown)},
             {"key without an end", key},
             {"password", filled("password: <alnum 20>", seed)},
             {"open quote", filled("password=\"<alnum 20>", seed)},
             {"base64", base64(text)},
             {"base64 without padding", base64(text, true, false)},
             {"base64 in lines", lines(base64(text + filled(" <alnum 90>", seed)), 76, "\r\n")},
             {"base32", base32(text)},
             {"hex", each(text, "%02x")},
             {"hex in pairs", each(text, "%02x ")},
             {"decimal", each(text, "%d,")},
             {"utf-16", utf16(text, false)},
             {"percent", each(text, "%%%02X")},
             {"groups", lines(token, 4, " ")},
             {"gzip", gzipped(text)},
             {"zlib", deflated(text, 15)},
             {"zstd", zstd(text)},
             {"zip", zip_entry("a", text)},
             {"gzip in base64", base64(gzipped(text))},
             {"gzip in base64 without padding", base64(gzipped(text), true, false)},
             {"gzip in hex", each(gzipped(text), "%02x")},
             {"dump", dump(text, "%08zx:", 2, true)}})
      for (std::string boundary : {"xx", "----WebKitFormBoundary7MA4YWxkTrZu0gW", "b1dec0ffee00b1dec0ffee00b1dec0ff"})
        for (size_t piece : {7u, 100'000u}) {
          SCOPED_TRACE(form + ", " + boundary + ", " + std::to_string(piece));
          std::string body = multipart({{type, content}, {type, last}}, boundary), out = redacted(body, piece);
          EXPECT_EQ(out.size(), body.size());
          EXPECT_NE(out, body) << "nothing was replaced";
          auto parts = parts_of(out, boundary);
          EXPECT_EQ(parts.size(), 2u) << out;
          if (parts.size() != 2) continue;
          EXPECT_EQ(parts[0].headers, type);
          EXPECT_EQ(parts[0].content.size(), content.size());
          EXPECT_EQ(parts[1].headers, type);
          EXPECT_EQ(parts[1].content, last);
          EXPECT_EQ(found(out), "") << out;
        }
  }
}

TEST(Multipart, NamesOfFilesAreReplacedWithinTheirQuotes) {
  std::string token = filled("ghp_<alnum 36>", 3);
  std::string type = "Content-Disposition: form-data; name=\"file\"; filename=\"" + token + ".txt\"";
  auto parts = parts_of(redacted(multipart({{type, "text"}}, "xx"), 1000), "xx");
  ASSERT_EQ(parts.size(), 1u);
  EXPECT_TRUE(parts[0].headers.starts_with("Content-Disposition: form-data; name=\"file\"; filename=\"[redacted: "));
  EXPECT_TRUE(parts[0].headers.ends_with(".txt\"")) << parts[0].headers;
  EXPECT_EQ(parts[0].content, "text");
}

}  // namespace
}  // namespace bottle::scan
