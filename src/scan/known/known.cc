#include "scan/known/known.h"

#include <algorithm>

namespace bottle::scan {
namespace {

constexpr size_t kShortest = 8, kWhole = 48, kPiece = 32;

std::string rot13(std::string text) {
  for (char& c : text)
    if (c >= 'a' && c <= 'z') c = static_cast<char>('a' + (c - 'a' + 13) % 26);
  return text;
}

}  // namespace

void fold(std::string_view text, std::string& to) {
  to.resize(text.size());
  const char* __restrict from = text.data();
  char* __restrict out = to.data();
  for (size_t i = 0, size = text.size(); i < size; ++i) {
    auto c = static_cast<unsigned char>(from[i]);
    auto capital = static_cast<unsigned char>(static_cast<unsigned char>(c - 'A') < 26);
    out[i] = static_cast<char>(c | capital << 5);
  }
}

std::optional<std::pair<uint32_t, size_t>> KnownSecrets::begun(std::string_view folded) const {
  std::string_view tail = folded.substr(folded.size() - std::min(folded.size(), kWhole));
  Dictionary::State state = Dictionary::kRoot;
  for (char c : tail) state = dictionary_.next(state, static_cast<uint8_t>(c));
  uint32_t pattern = dictionary_.half_begun(state);
  size_t depth = dictionary_.open(state);
  if (pattern == Dictionary::kNoPattern || depth < kSurelyBegun) return {};
  return std::pair(dictionary_.pattern(pattern).needle, folded.size() - depth);
}

void KnownSecrets::add(std::string name, std::string_view value) {
  if (value.size() < kShortest) return;
  auto secret = static_cast<uint32_t>(names_.size());
  names_.push_back(std::move(name));
  all_text_ &= std::ranges::all_of(value, [](unsigned char c) { return c >= ' ' && c < 0x7f; });
  std::string folded;
  fold(value, folded);
  auto add = [&](std::string_view piece) {
    dictionary_.add_exactly(secret, piece);
    dictionary_.add_exactly(secret, std::string(piece.rbegin(), piece.rend()));
    dictionary_.add_exactly(secret, rot13(std::string(piece)));
  };
  if (folded.size() <= kWhole) return add(folded);
  std::string_view all(folded);
  for (size_t at = 0; at + kPiece <= all.size(); at += kPiece) add(all.substr(at, kPiece));
  add(all.substr(all.size() - kPiece));
}

}  // namespace bottle::scan
