// bench_scan [NAME] measures the cost of scanning, in nanoseconds of CPU time for each byte, and prints it as JSON.
// It measures clean text and inputs that are made to be slow, or, for a profiler, only the one with this name.
// bench_scan --prices [NAME] measures them without a limit for the long run, and prints how well their units of work
// match the time. Decompressed bytes of an input count as well.
#include <algorithm>
#include <cstdio>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "scan/content/empty_blocks_test.h"
#include "scan/detector.h"
#include "scan_input.h"

using namespace bottle::scan;
using bottle::bench::cpu_nanoseconds;

namespace {

constexpr size_t kBlock = 32 * 1024, kSize = 1 << 20;

std::string repeated(const std::function<std::string(size_t)>& piece) {
  std::string out;
  for (size_t i = 0; out.size() < kSize; ++i) out += piece(i);
  return out;
}

std::string characters(std::string_view from, size_t count) {
  static std::mt19937 random(7);
  std::string out;
  while (out.size() < count) out += from[random() % from.size()];
  return out;
}

struct Cost {
  double nanoseconds = 1e9, work = 0;  // for each byte
  bool refused = false;
};

Cost cost(Detector& detector, const std::string& text, int rounds) {
  Cost best;
  for (int i = 0; i < rounds; ++i) {
    double begin = cpu_nanoseconds();
    size_t bytes = text.size(), work = 0;
    bool refused = false;
    for (size_t at = 0; at < text.size(); at += kBlock) {
      auto result = detector.scan(std::string_view(text).substr(at, kBlock));
      bytes += result.unpacked;
      work += result.work;
      refused |= result.incomplete;
    }
    auto all = static_cast<double>(bytes);
    best = {std::min(best.nanoseconds, (cpu_nanoseconds() - begin) / all), static_cast<double>(work) / all, refused};
  }
  return best;
}

// Returns blocks of so many headers and of data that all of them lead to. `sizes` is where a header has the sizes of
// its two fields.
std::string leading_to_the_same(std::string_view header, size_t sizes, size_t count) {
  std::string block, data = empty_blocks((kBlock - count * header.size()) / 59 * 2);
  for (size_t i = count; i > 0; --i) {
    size_t skipped = (i - 1) * header.size(), first = std::min<size_t>(skipped, 0xffff), at = block.size() + sizes;
    block += header;
    for (size_t size : {first, skipped - first})
      if (at + 1 < block.size()) block[at++] = static_cast<char>(size), block[at++] = static_cast<char>(size >> 8);
  }
  block += data;
  block.resize(kBlock);
  return repeated([&](size_t) { return block; });
}

struct Input {
  const char* name;
  std::string text;
};

std::vector<Input> slow_inputs() {
  std::string alnum = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  return {
      {"random bytes", characters(all, kSize)},
      {"zeros", std::string(kSize, '\0')},
      {"Base64 in one run", characters(alnum + "+/", kSize)},
      {"Base64 in short runs", repeated([&](size_t) { return characters(alnum, 20) + " "; })},
      {"Base64 with names", repeated([&](size_t) { return "name=" + characters(alnum, 40) + " "; })},
      {"hexadecimal", characters("0123456789abcdef", kSize)},
      {"digits", characters("0123456789", kSize)},
      {"groups of digits", repeated([&](size_t) { return characters("0123456789", 4) + " "; })},
      {"percent escapes", repeated([&](size_t i) { return "%" + std::to_string(41 + i % 9); })},
      {"backslash escapes", repeated([&](size_t i) { return "\\u004" + std::to_string(i % 9); })},
      {"beginnings of keys", repeated([&](size_t) { return "ghp_AKIA sk-ant-api03-"; })},
      {"stand-ins", repeated([&](size_t) { return "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx "; })},
      {"assignments", repeated([&](size_t) { return "password=changeme "; })},
      {"assigned words", repeated([&](size_t i) { return "password=Staple-" + std::to_string(i % 10) + " "; })},
      {"quotes", repeated([&](size_t) { return "\"a\","; })},
      {"URLs with colons", repeated([&](size_t) { return "a://b:cde/"; })},
      {"short words", repeated([&](size_t) { return "abandon ability able "; })},
      {"marks of gzip", repeated([&](size_t) { return std::string("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", 10); })},
      {"marks of gzip without an end", repeated([&](size_t) { return "\x1f\x8b\x08"; })},
      {"marks of zlib", repeated([&](size_t) { return std::string("\x78\x9c\x03"); })},
      {"one letter", std::string(kSize, 'A')},
      {"names in one value", repeated([&](size_t) { return "token=ghp"; })},
      {"keys in one value", repeated([&](size_t) { return "ya2SharedAccessKey=ya"; })},
      {"names and numbers", repeated([&](size_t) { return "rpa_max_tokens: 40rpa_max_tokens: 4096rpa_"; })},
      {"names, numbers and an escape", repeated([&](size_t) { return "rpa_%41max_tokens: 40max_tokens: 4rpa_"; })},
      {"names of keys", repeated([&](size_t) { return "api_key access_key secret_key "; })},
      {"marks of zstd", repeated([&](size_t) { return std::string("some text \x28\xb5\x2f\xfd ", 15); })},
      {"two kinds of escapes", repeated([&](size_t) { return "\\u0041 some words%41 and others "; })},
      {"Base32 of Base32 of keys",
       bottle::bench::made({"KEY<HEX 32>xoxb-<digits 4>", {bottle::bench::Wrap::base32, bottle::bench::Wrap::base32}},
                           kSize)},
      {"two kinds of escapes around keys",
       bottle::bench::made(
           {"checksum = \"<hex 64>\"ABSK<base64 20>%3D<userpass>\\u0041abC8Q~<base64url 12><userpass>\\u0041"}, kSize)},
      {"ids of keys after one letter",
       bottle::bench::made({std::string(100, 'A') + "X-Amz-Credential=AKIA<BASE32 16>%2F20260101%2Fus-eastKEY<"},
                           kSize)},
      {"entities and ids of keys",
       bottle::bench::made({"&#6xprv<base58 8>ABSKEY<HEX "
                            "32KEY<HEX-AmAAAAAAAAAAAAAAAAAAAAAAAAX-Amz-Credential=AKIA<BASE32 16>%2F{\"auth\": "
                            "\"enabled\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                            "AAAAAAAAAAAAAAA"},
                           kSize)},
      {"words and ids of keys",
       bottle::bench::made({"<alnum 33>AzCa<alnum 5>A=name\342\202\254seed: <bip39>X-Amz-Credential=AKIA<BASE32 "
                            "16>%2F20260101%2Fus-east-1%2Fs3%2Fafigd_<base64ur<alnum 33>AzCa<alnum 5>A=seed: "
                            "<bip39>X-Amz-Credential=AKIA<BASE32 16>%2Ffigd_<base64ur"},
                           kSize)},
      {"shared access signatures",
       bottle::bench::made({"mysqldumphttps://a.blob.core.windows.net/c?sv=2022-11-02&sig=<alnum 43>%3Dsl.<base64url "
                            "20>eyJsq0atp-<base64url 8>ops_eyJ<base64 20>eyJmysqldump hf_<alpha "
                            "1https://a.blob.core.windows.net/c?sv=2022-11-02&sig=<alnum 43>%3D"},
                           kSize)},
      {"passwords in Base64 in Base32",
       bottle::bench::made({"CLIENT_SECRET=<alnum 24>A3-<BASE32 6>-<BASE32 6>-<BASE32 5>-<BASE32 5>-<BASE32 5>-<BASE32 "
                            "5>eyJAKCp<alnum 20>CLIENT_SECRET=<alnum 24>eyJCLIENT_SECRET=<alnum 24>%41",
                            {bottle::bench::Wrap::base64url, bottle::bench::Wrap::base32}},
                           kSize)},
      {"tokens in hexadecimal in Base64",
       bottle::bench::made({"fio-u-<base64url 64>", {bottle::bench::Wrap::hex, bottle::bench::Wrap::base64url}},
                           kSize)},
      {"tokens of X in UTF-16",
       bottle::bench::made(
           {std::string(23, 'A') +
                "<alnum 8>%2B<alnum 67>%3D<alnum 30>authtoken: <alnum 8><alpha "
                "12>ATTA<hex 8>authtoken: <alnum 8>ATTA<hex 8>authtoken: <alnum 8>sk_<hex 8>authtoken: <alnum 8>",
            {bottle::bench::Wrap::utf16}},
           kSize)},
      {"passwords after escapes that are none",
       bottle::bench::made({"[drive]\ntype = sftp\npass = <base64url 40>7 &any; %%zz \\u00zz "}, kSize)},
      {"long passwords", bottle::bench::made({"SECRET_KEY_BASE=<hex 128>"}, kSize)},
      {"GUIDs", bottle::bench::made({"<uuid>\n"}, kSize)},
      {"hashes of pip", bottle::bench::made({"    --hash=sha256:<hex 64> \\\n"}, kSize)},
      {"hashes of pip in a form", bottle::bench::made({"++++--hash%3Dsha256%3A<hex 64>+%5C%0A"}, kSize)},
      {"keys in gzip",
       bottle::bench::made({"PRIVATE_KEY=0x<hex 64>r8_<alnum 37>", {bottle::bench::Wrap::gzip}}, kSize)},
      {"rows of backslashes", repeated([&](size_t) { return "\\x41" + std::string(180, '\\') + "z "; })},
      {"beginnings of patterns", repeated([&](size_t) { return "00DpatASt perm-readxoxb-"; })},
      {"beginnings of account numbers", repeated([&](size_t) { return "GR1 "; })},
      {"short account numbers", repeated([&](size_t) { return "MC4 "; })},
      {"keys of wallets", bottle::bench::made({"5<base58 50> "}, kSize)},
      {"dumps without line ends", repeated([&](size_t) { return "000035b0: 4156 4155 4154 4189 "; })},
      {"dumps in JSON", repeated([&](size_t) { return "\"out\": \"\\n000035b0: 4156 4155 4154 4189 d455 8"; })},
      {"zeros before dots", repeated([&](size_t) { return "0."; })},
      {"tokens in lists", repeated([&](size_t) { return "ids=EAA "; })},
      {"keys without names", repeated([&](size_t) { return "key "; })},
      {"password of one letter", repeated([&](size_t) { return "password = B"; })},
      {"colons and digits", repeated([&](size_t) { return ":5"; })},
      {"first letters of an encoding", std::string(kSize, 'q')},
      {"quotes and letters", repeated([&](size_t) { return "\"D"; })},
      {"quotes and numbers", repeated([&](size_t) { return "\"=5"; })},
      {"quotes and escapes", repeated([&](size_t) { return "\"\\0"; })},
      {"beginnings of values", repeated([&](size_t) { return " =0"; })},
      {"escapes without digits", repeated([&](size_t) { return "\\x"; })},
      {"capitals and numbers", repeated([&](size_t) { return "5KA"; })},
      {"marks after other characters", repeated([&](size_t) { return "://0Q~"; })},
      {"ends of keys", repeated([&](size_t) { return "-us1"; })},
      {"names of vendors", repeated([&](size_t) { return "heroku "; })},
      {"tokens of Mapbox", bottle::bench::made({"sk.eyJ1<base64url 60>"}, kSize)},
      {"tokens of Mapbox and beginnings", bottle::bench::made({"sk.eyJ1<base64url 60>xoxb-00Dpat.perm-"}, kSize)},
      {"ampersands", repeated([&](size_t) { return "&a"; })},
      {"first bytes of letters", repeated([&](size_t) { return "\xc2"; })},
      {"invisible letters", repeated([&](size_t) { return "\xe2\x80\x8b"; })},
      {"beginnings of a known secret", repeated([&](size_t) { return "q7Hs82-kLmz0_PwX3rTn5"; })},
      {"a known secret", repeated([&](size_t) { return "q7Hs82-kLmz0_PwX3rTn5v"; })},
      {"entries of zip files", repeated([&](size_t) {
         return "PK\3\4" + std::string("\x14\0\0\0\x08\0", 6) + std::string(16, '\0') + std::string("\1\0\0\0aK", 6);
       })},
      {"entries of zip files that share their data",
       leading_to_the_same(std::string("PK\3\4\x14\0\0\0\x08", 9) + std::string(21, '\0'), 26, 300)},
      {"headers of gzip that share their data",
       leading_to_the_same(std::string("\x1f\x8b\x08\4\0\0\0\0\0\3\0\0", 12), 10, 900)},
      {"wide characters", repeated([&](size_t i) { return std::string{static_cast<char>('a' + i % 26), '\0'}; })},
  };
}

// Prints the time and the units of work that a scan of each input takes, beginning with the slowest units.
void print_prices(Detector& detector, const Cost& clean, std::string_view only) {
  struct Line {
    const char* name;
    Cost cost;
    double of_unit() const { return cost.nanoseconds / cost.work; }
  };
  std::vector<Line> lines;
  for (const auto& [name, slow] : slow_inputs())
    if (only.empty() || only == name) lines.push_back({name, cost(detector, slow, 3)});
  std::ranges::sort(lines, std::greater(), &Line::of_unit);
  std::printf("clean text: %.2f ns and %.2f units a byte, %.3f ns a unit\n", clean.nanoseconds, clean.work,
              clean.nanoseconds / clean.work);
  for (const Line& each : lines)
    std::printf("%.3f ns a unit, %6.2f units and %6.2f ns a byte, %5.1f times clean text%s: %s\n", each.of_unit(),
                each.cost.work, each.cost.nanoseconds, each.cost.nanoseconds / clean.nanoseconds,
                each.cost.refused ? ", refused" : "", each.name);
}

}  // namespace

int main(int count, char** arguments) {
  bool prices = count > 1 && std::string_view(arguments[1]) == "--prices";
  std::string_view only = count > 1 + prices ? arguments[1 + prices] : "";
  auto catalog = Catalog::builtin();
  if (!catalog) return 1;
  catalog->add_known("secret", "q7Hs82-kLmz0_PwX3rTn5v");
  catalog->allow_value("q7Hs82-kLmz0_PwX3rTn5v");  // as the guard does
  catalog->build();
  if (!prices) catalog->limit_steady_work(0);  // as a guard does in the long run
  Detector detector(&*catalog);
  std::string text = repeated([](size_t i) {
    return "Line " + std::to_string(i % 100) +
           " of a text such as people write: with words, some numbers, and a few names.\n";
  });
  Cost clean = cost(detector, text, 9);
  if (prices) return print_prices(detector, clean, only), 0;
  std::printf("{\"clean_ns\": %.4f, \"slow\": {", clean.nanoseconds);
  const char* comma = "";
  for (const auto& [name, slow] : slow_inputs()) {
    if (!only.empty() && only != name) continue;
    std::printf("%s\"%s\": %.4f", comma, name, cost(detector, slow, only.empty() ? 3 : 100).nanoseconds);
    comma = ", ";
  }
  std::printf("}}\n");
}
