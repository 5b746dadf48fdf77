// Finds secrets in one block of bytes: known ones, and credentials by their form, as they are and in every encoding
// that decode.h takes off, one inside another. What crosses blocks is the business of stream.h.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "scan/known.h"
#include "scan/matcher.h"
#include "scan/rule.h"
#include "scan/survey.h"

namespace bottle::scan {

// Everything to look for. Built once, then shared by all streams of one thread.
class Catalog {
 public:
  // Code::invalid: the database is not one of ours, or not of these rules.
  static Result<Catalog> make(std::vector<Rule> rules, std::string_view database);
  // The rules that the program carries.
  static Result<Catalog> builtin();

  void add_known(std::string name, std::string_view value) { known_.add(std::move(name), value); }
  void build() { known_.build(); }
  // What has this fingerprint is let through.
  void allow(std::string fingerprint) { allowed_.insert(std::move(fingerprint)); }

  const std::vector<Rule>& rules() const { return rules_; }
  size_t memory() const { return matcher_.memory(); }

 private:
  friend class Detector;
  friend class BlockScan;
  explicit Catalog(Matcher matcher) : matcher_(std::move(matcher)) {}

  std::vector<Rule> rules_;
  Matcher matcher_;
  KnownSecrets known_;
  std::set<std::string, std::less<>> allowed_;
  const Rule *card_ = nullptr, *iban_ = nullptr, *wif_ = nullptr, *words_ = nullptr;
};

struct Finding {
  const Rule* rule = nullptr;  // null: a known secret
  std::string name;            // the rule's id, or the known secret's name
  std::string what;            // "a GitHub token"
  std::string fingerprint;     // of the credential; empty for a known secret
  std::string encoding;        // "base64 in percent", or empty
  size_t begin = 0, end = 0;   // in the block: all bytes of what hides it
  bool sure = false;           // a checksum confirms it
  bool warns() const { return rule && rule->warns; }
};

struct BlockResult {
  std::vector<Finding> findings;  // in order
  bool incomplete = false;        // it decoded to so much that not all of it was looked at
  size_t decoded = 0;             // bytes that were looked at beside the block itself
};

class Detector {
 public:
  // The catalog must outlive it.
  explicit Detector(Catalog* catalog) : catalog_(catalog) {}

  // `joined`: the block was put together of pieces (a split), so what stands before a match says nothing.
  BlockResult scan(std::string_view block, bool joined = false);

  static constexpr int kDeepest = 5;                    // encodings inside each other
  static constexpr size_t kMostDecoded = 8;             // times the block, and
  static constexpr size_t kMostUnpacked = 1024 * 1024;  // bytes of compressed ones
  static constexpr int kMostMarks = 300;                // of compressed members after which nothing comes
  static constexpr int kMostPhrases = 60;               // rows of words whose checksum is computed
  static constexpr int kMostTrials = 24;                // decompressions that begin with no mark of their format

 private:
  Catalog* catalog_;
};

}  // namespace bottle::scan
