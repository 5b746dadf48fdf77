// Does the work of Detector::scan(): scans a text, the texts to which its parts decode, the texts to which these
// decode, and so on. A survey finds the places that may be encoded, each place is decoded into a view of the text,
// and each view is scanned in the same way. Budgets for work, bytes and findings bound the whole scan (decision 011).
#pragma once

#include <array>
#include <optional>
#include <unordered_map>

#include "scan/credential/checks.h"
#include "scan/detector.h"
#include "scan/encoding/decode.h"
#include "scan/seen_texts.h"

namespace bottle::scan {

// The cost of each part of a scan, in the unit of BlockResult::work, which is the time that a byte of clean text takes.
// The numbers were fitted to the times of 2,452 blocks (decision 011).
namespace work {
inline constexpr size_t kView = 900, kSpot = 26, kRun = 120, kLines = 140, kLooked = 170, kDecoded = 110, kHex = 30,
                        kTrial = 150, kRegion = 300, kBase64 = 400, kGatheredView = 2400, kControl = 60, kStop = 12;
inline constexpr size_t kMatch = 24, kName = 40, kValue = 45, kOpenEnd = 3000, kJoined = 100, kWif = 250, kWords = 520,
                        kPhrase = 1300, kPlus = 2, kGroups = 110, kDumpLine = 20, kNumbers = 250;
inline constexpr size_t kPiece = 8, kBegun = 14, kFinding = 600, kLayer = 400, kHash = 800, kIds = 900;
inline constexpr size_t kOfRun = 1, kOfLines = 2, kJudged = 1, kDecodedHex = 1, kBase32 = 4, kGrouped = 3, kEscape = 1,
                        kNumber = 3, kPair = 1, kCompared = 1, kDecimal = 1, kUnpacked = 2, kPacked = 1, kHashed = 5,
                        kGathered = 6, kForm = 1, kOfAccount = 2, kOfDump = 1, kOfLine = 2, kShifted = 1,
                        kOfJoined = 2;                // for each byte
inline constexpr size_t kText = 3, kDecodedText = 7;  // for four bytes of text, besides one for four of all bytes
inline constexpr size_t kBytes = 4, kSearched = 16;   // bytes for one unit
}  // namespace work

// Holds texts that were put together from groups, with bytes between them that belong to no text.
struct GroupTexts {
  // Says where one of them begins in `text`.
  struct Part {
    size_t begin = 0;
    size_t group = 0, first = 0;  // as in GroupSizes
    size_t period = 0;            // as in Groups
    bool within_word = false;     // the first group is the end of a word
  };
  Decoded text;
  std::vector<Part> parts;
};

// Holds short decoded texts, one after another, so that they are scanned as one. Scanning a text has a fixed cost,
// which is more than that of its bytes if it is short.
struct ShortTexts {
  static constexpr size_t kLongest = 256, kMost = 4096;  // the size of one text, and of all of them
  // What separates them belongs to no run, row of numbers or credential, and ends a line.
  static constexpr std::string_view kBetween = "\n\1\1\n";
  std::string_view encoding;
  Decoded all;
  std::vector<uint64_t> hashes;  // of the texts
  size_t reserved = 0;           // work that is kept for their scan
};

// Stands for a text to scan, and maps its positions back to the block.
struct View {
  std::string_view text;
  const View* outer = nullptr;            // the text it was decoded from; null for the block itself
  const Decoded* map = nullptr;           // set together with `outer`
  const GroupTexts* groups = nullptr;     // set if the map is that of group texts
  size_t fixed_begin = 0, fixed_end = 0;  // with `outer` and no map, the range that all of the text comes from
  std::string_view encoding;              // how `outer` was encoded
  int depth = 0;
  const std::vector<uint32_t>* pluses = nullptr;   // the spaces that are '+' in another view, which was scanned
  bool by_chance = false;                          // most of it can be text only by chance
  bool joined = false;                             // assembled from pieces of `outer`
  mutable size_t packed_end = 0;                   // compressed bytes before this have added to the allowance of work
  mutable size_t dump_end = 0;                     // where the last dump that was scanned ends in the text
  mutable size_t searched_for_dump = 0;            // lines before this were searched for the beginning of a dump
  mutable size_t last_offset = 0;                  // the last word that was examined as the offset of a dump
  mutable Decoded dump;                            // what it decodes to
  mutable size_t pairs_begin = 0, pairs_end = 0;   // the last pairs of digits that were decoded
  std::vector<ShortTexts>* short_texts = nullptr;  // gathers short texts to which it decodes, by encoding, if not null

  // Returns where the bytes [begin, end) come from in the block.
  std::pair<size_t, size_t> source(size_t begin, size_t end) const;
  // Returns where they come from in the text of `outer`, which must not be null.
  std::pair<size_t, size_t> in_outer(size_t begin, size_t end) const;
  // Returns the groups that the position belongs to, or null.
  const GroupTexts::Part* part_at(size_t at) const;
  // Returns whether the position is in the middle of a group, or in the middle of a word at the beginning of the first.
  // The latter counts only for a rule with an edge.
  bool within_group(size_t at, Edge edge) const;
};

// Returns whether an escape such as "\n" ends before the position. Its letter belongs to no word.
bool follows_escape(std::string_view text, size_t at);

// Scans one block, within budgets that all parts of the scan share. Make one for each call of all(), plain(), begun()
// or begun_known(). The call adds to the result that the constructor got. The budgets follow from `size`, the size of
// the block. The catalog and the result must outlive it.
class BlockScan {
 public:
  BlockScan(Catalog& catalog, size_t size, Effort effort, BlockResult& result);
  ~BlockScan();
  BlockScan(const BlockScan&) = delete;
  // Looks for everything, including what is encoded. `joined` is as in Detector::scan().
  void all(std::string_view block, bool joined);
  // Looks only for what is not encoded.
  void plain(std::string_view block);
  // Looks only for secrets and credentials in whose middle the block ends.
  void begun(std::string_view block);
  // Looks only for known secrets, not encoded, in whose middle the block ends.
  void begun_known(std::string_view block);
  // Computes the fingerprints that the findings lack. That takes long, so it is done only for those that are kept.
  void add_fingerprints();

 private:
  static constexpr size_t kFreelyJudged = 16 * 1024, kFreelyDecoded = 4096;
  static constexpr int kMostSecondLooks = 100;

  void scan_view(const View& view);
  void scan_spots(const View& view, const std::vector<Region>& regions);
  void scan_open_end(const View& view);
  void scan_open_known(const View& view);
  void find_known(const View& view, const std::vector<Region>& regions);
  void find_known(const View& view, size_t begin, size_t end);
  void find_credentials(const View& view, const std::vector<Region>& regions);
  struct PlacedMatch {
    const Rule* rule = nullptr;
    size_t end = 0;
  };
  bool examine_next(const View& view, const Catalog::Part& part, const Match& match, PlacedMatch& last);
  void examine_match(const View& view, const Rule& rule, const Match& match);
  std::optional<Credential> judge_match(const View& view, const Rule& rule, const Match& match);
  void scan_joined(const View& view, const std::vector<Region>& regions);
  // Scans a text that was assembled from pieces.
  void scan_assembled(const View& outer, const Decoded& text, std::string_view encoding,
                      const GroupTexts* groups = nullptr);

  void scan_spot(const View& view, const Spot& spot);
  void scan_run(const View& view, const Spot& spot);
  void scan_base64(const View& view, size_t begin, size_t end, std::string_view flat);
  void scan_base64_in_path(const View& view, size_t begin, size_t end);
  void scan_base32(const View& view, size_t begin, size_t end);
  bool scan_parts_of_run(const View& view, size_t begin, size_t end);
  void scan_hex(const View& view, size_t begin, size_t end);
  void scan_hex_pairs(const View& view, size_t begin, size_t end);
  void scan_binary(const View& view, size_t begin, size_t end);
  bool is_worth_a_look(std::string_view decoded) const;
  void scan_escaped(const View& view, const Decoded& decoded, const Spot& spot, std::string_view encoding);
  void scan_percent(const View& view, const Spot& spot);
  void scan_form_between_escapes(const View& view, const std::vector<Spot>& spots);
  void scan_form(const View& view, const std::vector<Region>& regions);
  void find_mnemonics_in_form(const View& view);
  void find_numbers_of_form(const View& view);
  void scan_escapes(const View& view, const Spot& spot);
  void find_mnemonics(const View& view, const Spot& spot);
  void find_numbers(const View& view, const Spot& spot);
  void scan_compressed(const View& view, const Spot& spot);
  void scan_zip_entries(const View& view);
  void collect_groups(const View& view, const Spot& spot, GroupTexts& texts);
  void scan_quoted_printable(const View& view, const std::vector<Region>& regions);
  bool scan_dump(const View& view, size_t begin);
  void scan_dumps(const View& view, const Spot& groups);
  bool is_of_pairs(const View& view, const Spot& groups) const;
  bool has_known_digits(const View& view, const Spot& groups);

  // Returns whether the same text was decoded before, at no greater depth, and remembers it. Two kinds of escapes in
  // one text decode to the same text in either order.
  bool was_seen(uint64_t hash, int depth, bool is_joined);
  // Adds a decoded text that may contain something to those that are scanned together.
  // Keeps work for their scan, so that it can take place even if the rest of the block spends all other work.
  void gather(const View& outer, const Decoded& decoded, uint64_t hash, std::string_view encoding);
  // Scans the texts that were gathered.
  void scan_gathered(const View& outer, ShortTexts& texts);
  // Scans a decoded text if it may contain something. `by_chance` says that it was read at another alignment, so that
  // only its readable parts can be text.
  void scan_decoded(const View& outer, const Decoded& decoded, std::string_view encoding, bool by_chance = false);
  std::string attempt(Compression compression, std::string_view packed, size_t most, size_t& used);
  std::string decompress(Compression compression, std::string_view packed, size_t most, size_t& used);
  bool unpack(const View& outer, const Decoded& decoded);
  void scan_unpacked(const View& outer, const std::string& text, size_t begin, size_t end, std::string_view encoding);

  size_t work_left() const;
  // Counts work that is about to be done. Returns whether the block may take it. If it may not, the scan is incomplete.
  bool may_work(size_t work);
  // Counts work that was done, even if it was more than the block may take. Then the scan is incomplete.
  void did_work(size_t work);
  // Returns whether the scan has ended early. Where bytes that were not scanned may pass, the block itself is still
  // searched to its end in its plain form.
  bool has_ended(const View& view) const { return spent_ && (view.depth > 0 || !is_thorough_); }
  // Returns whether one more finding is kept. If it is not kept and is more than a warning, the scan is incomplete.
  bool has_room(bool warns);
  // Returns the fingerprint of a value that may be one of those that pass, or nothing if the block may take no more
  // work.
  std::optional<std::string> fingerprint_to_compare(const Rule& rule, std::string_view value);
  void report(const View& view, const Rule& rule, size_t begin, size_t end, bool sure);
  void add(const View& view, Finding finding, size_t begin, size_t end);

  Catalog& catalog_;
  BlockResult& result_;
  size_t begun_size_ = 0;  // the size of the block if only its end counts, or 0
  size_t decoded_left_, text_left_, unpacked_left_ = Detector::kMostUnpacked, grouped_left_ = Detector::kMostGrouped;
  int trials_left_ = Detector::kMostTrials, marks_left_ = Detector::kMostMarks, phrases_left_ = Detector::kMostPhrases;
  Judging judging_;                      // of the text whose matches are judged
  size_t judging_left_ = kFreelyJudged;  // the work of judging matches, as judge() counts it
  size_t most_work_, most_findings_;
  size_t steady_work_ = SIZE_MAX;  // what the catalog's limit for all scans permits
  // Of this work, all() saves what it does not need for later blocks, and the rest is never saved.
  size_t saved_ = 0, unsaved_ = 0;
  size_t lent_ = 0;       // what decompressed text has added to it; it is used first and never saved
  size_t reserved_ = 0;   // work that is not done yet
  size_t overdrawn_ = 0;  // work that was done although it was not left; takes nothing of what is reserved
  bool is_thorough_;
  bool spent_ = false;  // the scan needs more than most_work_, or there is no room for more findings
  int second_looks_left_ = kMostSecondLooks;
  std::array<SeenTexts, 2> seen_;  // the decoded texts, joined or not
  std::string folded_, shifted_, hex_;
  // Has the fingerprints of some values that were compared. A text may repeat a value that passes any number of times.
  std::unordered_map<std::string, std::string> hashes_;
  // The values of findings without fingerprints, as ranges of copies. A value that begins in the one before it and ends
  // no earlier shares its copy, because each of many keys in one row of letters reaches far into it.
  struct Value {
    size_t copy, begin, size;
  };
  std::vector<Value> values_;
  std::vector<std::string> copies_;
  size_t copied_ = 0;
  const char *last_begin_ = nullptr, *last_end_ = nullptr;  // what was copied last, as it was then
  void keep_value(std::string_view text);
};

}  // namespace bottle::scan
