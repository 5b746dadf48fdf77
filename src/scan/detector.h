// Finds secrets in one block of bytes: known secrets, and credentials by their form. It finds them as they are and in
// every encoding that decode.h removes, even nested. stream.h handles secrets that cross blocks.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "scan/credential/matcher.h"
#include "scan/credential/rule.h"
#include "scan/encoding/survey.h"
#include "scan/known/known.h"

namespace bottle::scan {

// Holds everything to look for. It is built once and shared by all streams of one thread.
class Catalog {
 public:
  // Fails with Code::invalid if compile() did not make the database, or made it from other rules.
  static Result<Catalog> make(std::vector<Rule> rules, std::string_view database);
  // Returns the rules that the program carries.
  static Result<Catalog> builtin();

  // Adds the operator's rules. A rule with the id of an existing rule replaces it. `database` is the result of
  // compile() for the rules, which is empty if none has a pattern. Fails with Code::invalid if it was compiled from
  // other rules.
  Result<> add(std::vector<Rule> own, std::string_view database);

  // add_known() adds a secret under the name that its findings get; see KnownSecrets for the lengths. Call build()
  // after the last one, because no known secret is found before it.
  void add_known(std::string name, std::string_view value) { known_.add(std::move(name), value); }
  void build() { known_.build(); }
  // Lets values with this fingerprint pass.
  void allow(std::string fingerprint) { allowed_.insert(std::move(fingerprint)); }
  // Lets this value pass. That costs less, because only values with as many bytes are compared.
  void allow_value(std::string_view value);

  // Limits the work of all scans together to Detector::kSteadyWork for each byte in the long run. For a while, scans
  // may also use up the reserve. What Detector::scan() leaves of the allowance of the block's own bytes fills the
  // reserve again. That of decompressed bytes does not. Scans that look at the same bytes once more only take from it.
  // A block of less than kSmallBlock may always take kLeastSteadyWork.
  void limit_steady_work(size_t reserve = kReserve) {
    is_steady_ = true;
    reserve_ = most_reserve_ = reserve;
  }
  // Adds units of work to the reserve, which holds at most what limit_steady_work() gave it. Nothing in this room reads
  // a clock, so the caller does this as time passes.
  void add_to_reserve(size_t work) { give_back(work); }

  // Returns all rules, those of the operator last. A replaced rule stays in the list and is `off`. Pointers in findings
  // lead into the list, so nothing may be added while findings exist.
  const std::vector<Rule>& rules() const { return rules_; }

 private:
  friend class Detector;
  friend class BlockScan;
  explicit Catalog(Matcher matcher) { matchers_.push_back({std::move(matcher), 0}); }
  void note_surveyed();
  // Takes as much of the reserve as is left, and gives back what was not needed.
  size_t take_reserve() { return std::exchange(reserve_, 0); }
  void give_back(size_t work) { reserve_ = std::min(most_reserve_, reserve_ + work); }

  // Finds the patterns of the rules from `first` on.
  struct Part {
    Matcher matcher;
    uint32_t first = 0;
  };
  std::vector<Rule> rules_;
  std::vector<Part> matchers_;
  KnownSecrets known_;
  std::set<std::string, std::less<>> allowed_, allowed_values_;  // fingerprints
  std::set<size_t> allowed_sizes_;                               // of the values in the second set
  static constexpr size_t kReserve = size_t{4} << 30;            // in units of work, two to four seconds
  size_t reserve_ = 0, most_reserve_ = 0;
  bool is_steady_ = false;
  // The rules without a pattern that are not off, by their checks.
  std::vector<const Rule*> cards_, ibans_, wifs_, words_, random_;
  // Finds the tokens of a rule whose pattern would begin to match in too many texts (credential/numbers.h).
  struct Shaped {
    const Rule* rule = nullptr;
    void (*each)(std::string_view, const std::function<void(size_t, size_t)>&) = nullptr;
  };
  std::vector<Shaped> shaped_;
};

// Describes a secret or credential in a block. Its texts never contain the value. `rule` belongs to the catalog.
struct Finding {
  const Rule* rule = nullptr;  // null for a known secret
  std::string name;            // the rule's id or the known secret's name
  std::string what;            // for example, "a GitHub token"
  std::string fingerprint;     // of the credential; empty for a known secret
  std::string encoding;        // for example, "base64 in percent", or empty
  size_t begin = 0, end = 0;   // the range in the block of all bytes that encode it
  bool sure = false;           // confirmed by a checksum
  bool is_base64 = false;      // the bytes in the block are digits of Base64, and perhaps line ends between them
  unsigned skipped = 0;        // of the first digit of Base64, the bits that belong to bytes before
  size_t value = SIZE_MAX;     // during the scan, which value the fingerprint must still be computed of
  // Returns whether the finding is only reported and gives no reason to refuse the message.
  bool warns() const { return rule && rule->warns; }
};

// Returns whether `finding` replaces the other, overlapping finding because it is more specific.
bool hides(const Finding& finding, const Finding& other);

// Says what a scan found and what it cost. The costs are for tests and measurements.
struct BlockResult {
  std::vector<Finding> findings;  // in order
  bool incomplete = false;        // some of the block was not scanned, because it spent a limit of the scan
  bool full = false;              // that limit is the number of findings
  size_t decoded = 0;             // the number of bytes that were scanned in addition to the block
  size_t unpacked = 0;            // the number of them that were decompressed
  size_t judged = 0;              // the work of judging matches, approximately in bytes that were examined
  size_t hashed = 0;              // the number of matches that were compared with fingerprints of values that may pass
  size_t work = 0;                // all work, in units of which a byte of clean text takes about one
};

// How much work a scan may take. Text that is not scanned is refused where findings are blocked, and passes elsewhere.
enum class Effort : uint8_t {
  bounded,   // if what is not scanned is refused
  thorough,  // twice the work and twice the findings
};

// Scans one block at a time and keeps no state between two. Making one costs nothing. Two threads must not scan with
// one catalog at the same time, because its matchers have working memory.
class Detector {
 public:
  // The catalog must outlive the detector.
  explicit Detector(Catalog* catalog, Effort effort = Effort::bounded) : catalog_(catalog), effort_(effort) {}

  // `joined` says that the block was assembled from pieces, so that the text before a match means nothing.
  BlockResult scan(std::string_view block, bool joined = false);
  // Finds only secrets in whose middle the block ends, as they are or encoded: a known secret of which more than half
  // is there, or a credential whose rule has a distinctive mark.
  BlockResult scan_begun(std::string_view block);
  // Does the same for known secrets that are not encoded. Costs almost nothing.
  BlockResult scan_begun_known(std::string_view block);
  // Finds only what is in the block without decoding.
  BlockResult scan_plain(std::string_view block);

  static constexpr int kDeepest = 5;                      // nested encodings
  static constexpr size_t kMostDecoded = 8;               // decoded bytes as a multiple of the block's size, plus …
  static constexpr size_t kMostText = 5;                  // those of them that may be text; Base64 is read four times
  static constexpr size_t kMostUnpacked = 1024 * 1024;    // … this number of decompressed bytes
  static constexpr size_t kMostWork = 32;                 // for each byte of the block and of what is decompressed, …
  static constexpr size_t kMostPackedWork = 64;           // … for each of its bytes that is decompressed to text, …
  static constexpr size_t kFreeWork = 320 * 1024;         // … and for each block
  static constexpr size_t kSteadyWork = 4;                // for each byte in the long run, if it is limited, …
  static constexpr size_t kSteadyUnpackedWork = 5;        // … for each decompressed byte, which takes one more, …
  static constexpr size_t kSteadyPackedWork = 2;          // … for each byte that is decompressed to text, …
  static constexpr size_t kFreeSteadyWork = 8192;         // … and for each block
  static constexpr size_t kLeastSteadyWork = 192 * 1024;  // what a small block may always take; …
  static constexpr size_t kSmallBlock = 24 * 1024;        // … a small block has fewer bytes
  static constexpr size_t kMostGrouped = 8192;            // bytes of groups that are put together
  static constexpr int kMostMarks = 300;                  // magic numbers that decompress to almost nothing
  static constexpr int kMostPhrases = 60;                 // word sequences whose checksum is computed
  static constexpr int kMostTrials = 24;                  // decompressions of data without a magic number

 private:
  Catalog* catalog_;
  Effort effort_;
};

}  // namespace bottle::scan
