// bench_scan_search SECONDS [SEED] searches for inputs that make scanning slow. It evolves a population of inputs
// that are made of examples of the rules, names of secrets, characters of encodings and whole encodings. It begins with
// the slowest beginnings of examples, because vectorscan and the matcher read on after the beginning of a pattern. It
// prints the inputs that are slowest for each byte, including decompressed ones, as lines for the list in scan.cc, each
// with its time relative to clean text.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "scan/credential/builtin.h"
#include "scan/detector.h"
#include "scan_input.h"

using namespace bottle;
using namespace bottle::bench;

namespace {

constexpr size_t kBlock = 32 * 1024, kPopulation = 48, kMostTokens = 10, kMostWraps = 3, kShown = 12;

// Holds an input that the search changes.
struct Candidate {
  std::vector<std::string> tokens;
  std::vector<Wrap> wraps;
  double nanoseconds = 0;  // a byte
  Input input() const {
    std::string piece;
    for (const auto& token : tokens) piece += token;
    return {piece, wraps};
  }
};

std::vector<std::string> dictionary() {
  std::vector<std::string> words = {
      " ", "\n", "\"", "'", "=", ":", ",", ";", "{", "[", "\\", "\\\"", "\\n", "%", "&", "/", "://", "@", ".", "-", "_",
      "|", ">", "<", "$", "\t", "value", "name", "\\u0041", "%41", "&#65;", "password", "secret", "token", "_key",
      "api_key", "access_key", "credentials", "auth", "user", "--token ", " -u ", "mysql -u", "sshpass -p",
      "identified by '", "password is ", "eyJ", "MII", "AKIA", "ghp_", "sk-", "sk_", "https://",
      ":5432:", "authorization: basic ", "AccountKey=", "abandon ability able ", "abandon ", "Staple", "changeme",
      "xxxx", "process.env.", "machine ", "login ", "<alnum 1>", "<alnum 8>", "<alnum 16>", "<alnum 24>", "<alnum 40>",
      "<alnum 70>", "<alpha 12>", "<digits 1>", "<digits 4>", "<digits 16>", "<hex 2>", "<hex 16>", "<hex 32>",
      "<hex 64>", "<base36 12>", "<BASE32 16>", "<BASE32 32>", "<base64 64>", "<base64url 20>", "<base58 51>",
      "<base58 52>", "<uuid>", "<jwt>", "<userpass>", "DE<digits 20>", std::string(1, '\0'),
      std::string("\x1f\x8b\x08", 3), std::string("\x78\x9c"), "\xe2\x82\xac", "\x80", "\x28\xb5\x2f\xfd",
      "\xff\xfe\x9a\x10", "&a", "\xc2", "\xe2\x80\x8b", std::string(90, '\\'), std::string(90, 'A'),
      "q7Hs82-kLmz0_PwX3rTn5", "0000000 41 42 43 44 45 46 47 48\n", "0000020 ", "PK\3\4", "quoted-printable", "=\n",
      "=41", "01100001 ", "1: ",
      // small members of zlib, gzip and zstd
      std::string("\170\234\053\110\054\056\056\317\057\112\261\315\266\114\114\112\006\000\052\374\005\173", 22),
      std::string("\037\213\010\000\000\000\000\000\002\003\053\110\054\056\056\317\057\112\261\315\266\114\114\112\006"
                  "\000\364\375\046\313\016\000\000\000",
                  34),
      std::string("\050\265\057\375\040\016\161\000\000\160\141\163\163\167\157\162\144\075\153\071\141\142\143", 23),
      std::string("\050\265\057\375\000\130\161\000\000\160\141\163\163\167\157\162\144\075\153\071\141\142\143", 23)};
  auto rules = scan::parse_rules(scan::credentials_text());
  for (const auto& rule : *rules)
    for (const auto& example : rule.examples) words.push_back(example.text);
  return words;
}

class Search {
 public:
  Search(uint32_t seed, scan::Detector& detector) : random_(seed), detector_(detector), words_(dictionary()) {}

  void go(double seconds) {
    all_ = slowest_beginnings(kPopulation / 2);
    while (all_.size() < kPopulation) all_.push_back(measured(fresh()));
    for (double end = cpu_nanoseconds() + seconds * 1e9; cpu_nanoseconds() < end;) {
      Candidate child = measured(changed(better()));
      Candidate& loser = worse();
      if (child.nanoseconds > loser.nanoseconds) loser = std::move(child);
    }
    std::ranges::sort(all_, std::greater(), &Candidate::nanoseconds);
  }

  double clean() {
    Input text{"Line <digits 2> of a text such as people write: with words, some numbers, and a few names.\n", {}};
    return nanoseconds(made(text, kBlock), 20);
  }
  double again(const Candidate& each) { return nanoseconds(made(each.input(), kBlock), 20); }
  const std::vector<Candidate>& all() const { return all_; }

 private:
  size_t below(size_t limit) { return random_() % limit; }
  const std::string& word() { return words_[below(words_.size())]; }

  std::vector<Candidate> slowest_beginnings(size_t most) {
    constexpr size_t kLongest = 100;
    std::set<std::string> pieces;
    for (const std::string& word : words_)
      for (size_t size = 3; size <= std::min(word.size(), kLongest); ++size) {
        std::string piece = word.substr(0, size);
        size_t open = piece.rfind('<');
        if (open != piece.npos && piece.find('>', open) == piece.npos)
          continue;  // cut in the name of random characters
        pieces.insert(piece);
        pieces.insert(piece + " ");
      }
    std::vector<Candidate> found;
    for (const std::string& piece : pieces) {
      found.push_back({.tokens = {piece}});
      found.back().nanoseconds = nanoseconds(made(found.back().input(), kBlock), 1);
    }
    std::ranges::sort(found, std::greater(), &Candidate::nanoseconds);
    found.resize(std::min(found.size(), most));
    return found;
  }

  Candidate fresh() {
    Candidate made;
    for (size_t count = 1 + below(5); count > 0; --count) made.tokens.push_back(word());
    if (below(2)) made.wraps.push_back(static_cast<Wrap>(below(kWraps)));
    return made;
  }

  Candidate changed(Candidate from) {
    for (size_t times = 1 + below(2); times > 0; --times) change(from);
    return from;
  }

  void change(Candidate& it) {
    size_t at = below(it.tokens.size());
    auto place = it.tokens.begin() + static_cast<std::ptrdiff_t>(at);
    switch (below(7)) {
      case 0:
        it.tokens[at] = word();
        break;
      case 1:
        if (it.tokens.size() < kMostTokens) it.tokens.insert(place, word());
        break;
      case 2:
        if (it.tokens.size() > 1) it.tokens.erase(place);
        break;
      case 3:
        std::swap(it.tokens[at], it.tokens[below(it.tokens.size())]);
        break;
      case 4: {  // crosses it with another one
        const Candidate& other = better();
        size_t from = below(other.tokens.size());
        it.tokens.resize(at + 1);
        it.tokens.insert(it.tokens.end(), other.tokens.begin() + static_cast<std::ptrdiff_t>(from), other.tokens.end());
        if (it.tokens.size() > kMostTokens) it.tokens.resize(kMostTokens);
        break;
      }
      case 5:
        if (it.wraps.size() < kMostWraps) it.wraps.push_back(static_cast<Wrap>(below(kWraps)));
        else it.wraps[below(it.wraps.size())] = static_cast<Wrap>(below(kWraps));
        break;
      default:  // cuts a word
        if (!it.wraps.empty() && below(2)) it.wraps.pop_back();
        else if (it.tokens[at].size() > 1 && it.tokens[at][0] != '<')
          it.tokens[at].resize(1 + below(it.tokens[at].size() - 1));
    }
  }

  const Candidate& better() {
    const Candidate &one = all_[below(all_.size())], &other = all_[below(all_.size())];
    return one.nanoseconds > other.nanoseconds ? one : other;
  }
  Candidate& worse() {
    Candidate *one = &all_[below(all_.size())], *other = &all_[below(all_.size())];
    return one->nanoseconds < other->nanoseconds ? *one : *other;
  }

  Candidate measured(Candidate it) {
    it.nanoseconds = nanoseconds(made(it.input(), kBlock), 3);
    return it;
  }
  double nanoseconds(const std::string& text, int rounds) {
    double best = 1e18;
    size_t unpacked = 0;
    for (int i = 0; i < rounds; ++i) {
      double begin = cpu_nanoseconds();
      unpacked = detector_.scan(text).unpacked;
      best = std::min(best, cpu_nanoseconds() - begin);
    }
    return best / static_cast<double>(text.size() + unpacked);
  }

  std::mt19937 random_;
  scan::Detector& detector_;
  std::vector<std::string> words_;
  std::vector<Candidate> all_;
};

// Returns the text as a string literal.
std::string literal(std::string_view text) {
  std::string out = "\"";
  char buffer[8];
  for (unsigned char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c >= ' ' && c < 0x7f) out += static_cast<char>(c);
    else out.append(buffer, static_cast<size_t>(std::snprintf(buffer, sizeof buffer, "\\%03o", c)));
  }
  return out + "\"";
}

}  // namespace

int main(int count, char** arguments) {
  double seconds = count > 1 ? std::atof(arguments[1]) : 60;
  auto catalog = scan::Catalog::builtin();
  if (!catalog) return 1;
  catalog->add_known("secret", "q7Hs82-kLmz0_PwX3rTn5v");
  catalog->allow_value("q7Hs82-kLmz0_PwX3rTn5v");  // as the guard does
  catalog->build();
  catalog->limit_steady_work(0);  // as a guard does in the long run
  scan::Detector detector(&*catalog);
  Search search(count > 2 ? static_cast<uint32_t>(std::atoi(arguments[2])) : 1, detector);
  search.go(seconds);
  double clean = search.clean();
  std::printf("clean text: %.2f ns a byte\n", clean);
  std::set<std::string> shown;
  for (const Candidate& each : search.all()) {
    Input input = each.input();
    if (shown.size() == kShown || !shown.insert(input.piece).second) continue;
    double found = search.again(each);
    auto result = detector.scan(made(input, kBlock));
    std::string wraps;
    for (Wrap wrap : input.wraps) wraps += (wraps.empty() ? "Wrap::" : ", Wrap::") + std::string(name_of(wrap));
    std::printf("%6.1f times, %7.2f ns, decoded %.1f, findings %zu%s: {%s, {%s}}\n", found / clean, found,
                static_cast<double>(result.decoded) / kBlock, result.findings.size(),
                result.incomplete ? ", refused" : "", literal(input.piece).c_str(), wraps.c_str());
  }
}
