// Finds the exact source of decoded bytes by decoding them again from the anchor before them.
//
// A decoded text has an anchor only every 48 bytes or so, and none within a stretch of up to 192 bytes that were copied
// as they are, because a position for every byte would take more memory than the text, and most texts contain no
// secret. Only a finding needs the exact place, so the text around it is decoded once more here. `step` must therefore
// decode exactly like the functions in decode.cc.
#include <algorithm>

#include "scan/encoding/decode.h"
#include "scan/encoding/escapes.h"

namespace bottle::scan {
namespace {

using Form = Decoded::Form;

int digit_of(Form form, char c) { return form == Form::base32 ? base32_digit(c) : base64_digit(c); }

// Reads the digits as bits_of() in decode.cc does.
Origin of_digits(std::string_view text, const Decoded& map, const Decoded::Anchor& anchor, size_t begin, size_t end) {
  Origin out{anchor.from, map.end};
  unsigned width = map.form == Form::base64 ? 6 : 5, skip = anchor.skipped + map.skipped, count = 0;
  size_t size = anchor.at, previous = anchor.from, before = anchor.from;
  for (size_t at = anchor.from; at < map.end; ++at) {
    if (digit_of(map.form, text[at]) < 0) {
      if (text[at] == '=') count = 0;
      while (text[at] == '\\' && at + 1 < map.end) ++at;
      continue;
    }
    count += width;
    unsigned less = std::min(skip, count);
    skip -= less;
    count -= less;
    if (count >= 8) {
      bool is_near = count <= 2 * width;
      // The byte begins in the previous digit, or in the one before that.
      if (size == begin) {
        out.begin = is_near ? previous : before;
        out.skipped = (is_near ? 2 : 3) * width - count;
      }
      count -= 8;
      if (++size == end) {
        out.end = at + 1;
        break;
      }
    }
    before = previous;
    previous = at;
  }
  return out;
}

// Returns the number of bytes that one piece of the source has, and appends what it decodes to.
size_t step(Form form, std::string_view text, size_t at, size_t end, std::string& out) {
  auto digit = [&](size_t i) { return i < end && text[i] >= '0' && text[i] <= '9'; };
  switch (form) {
    case Form::percent:
      return percent_step(text, at, end, out) - at;
    case Form::quoted:
      return quoted_step(text, at, end, out) - at;
    case Form::escapes:
      return escape_step(text, at, end, out) - at;
    case Form::letters:
      return letter_step(text, at, end, out) - at;
    case Form::wide:
      if (text[at] != '\0') out += text[at];
      return 1;
    case Form::binary:
      out += 'x';
      return 8;
    case Form::decimals:
      if (!digit(at)) return 1;
      out += 'x';
      return digit(at + 1) ? digit(at + 2) ? 3 : 2 : 1;
    case Form::hex: {
      auto is_hex = [&](size_t i) { return i < end && hex_digit(static_cast<uint8_t>(text[i])) >= 0; };
      if (!is_hex(at) || !is_hex(at + 1)) return is_hex(at) && at + 1 < end && (text[at + 1] | 32) == 'x' ? 2 : 1;
      out += 'x';
      return 2;
    }
    case Form::lines:
      if (text[at] == '\\') {
        size_t next = at;
        while (next + 1 < end && text[next] == '\\') ++next;
        return next + 1 - at;
      }
      if (digit_of(Form::base64, text[at]) >= 0) out += text[at];
      return 1;
    default:
      out += text[at];
      return 1;
  }
}

// Returns the piece of the source that decodes to the byte at `place`, which is not before the anchor.
std::optional<Origin> piece_of(std::string_view text, const Decoded& map, const Decoded::Anchor& anchor, size_t place) {
  std::string decoded;
  auto is_plain = [&](char c) {  // most bytes belong to no escape
    if (map.form == Form::wide) return c != '\0';
    return map.form == Form::percent ? c != '%' : map.form == Form::escapes && c != '\\' && c != '&';
  };
  for (size_t at = anchor.from, size = anchor.at; at < map.end && size <= place;) {
    if (is_plain(text[at])) {
      if (size++ == place) return Origin{at, at + 1};
      ++at;
      continue;
    }
    decoded.clear();
    size_t length = step(map.form, text, at, map.end, decoded);
    size += decoded.size();
    // A row of backslashes that is not an escape is copied as it is.
    bool is_copied = decoded.size() == length;
    if (place < size && is_copied) return Origin{at + length - (size - place), at + length - (size - place) + 1};
    if (place < size) return Origin{at, at + length};
    at += length;
  }
  return {};
}

}  // namespace

Origin origin_of(std::string_view text, const Decoded& map, size_t begin, size_t end) {
  const auto& anchors = map.anchors;
  if (anchors.empty()) return {0, text.size()};
  auto after = [&](size_t at) {
    return std::ranges::upper_bound(anchors, at, {}, [](const Decoded::Anchor& each) { return each.at; });
  };
  auto first = after(begin);
  const Decoded::Anchor& anchor = first == anchors.begin() ? anchors.front() : *std::prev(first);
  auto next = after(end == 0 ? 0 : end - 1);
  const Decoded::Anchor& last = next == anchors.begin() ? anchors.front() : *std::prev(next);
  Origin out{anchor.from, next == anchors.end() ? map.end : next->from};
  // Only the text near the beginning and near the end is decoded again, because there may be much between them.
  if (map.form == Form::base64 || map.form == Form::base32) {
    out = of_digits(text, map, anchor, begin, begin + 1);
    out.end = of_digits(text, map, last, begin, end).end;
  } else if (map.form == Form::parts) {
    out = {anchor.from + (begin - anchor.at), last.from + (end - last.at)};
  } else if (map.form != Form::other) {
    out.begin = piece_of(text, map, anchor, begin).value_or(Origin{out.begin}).begin;
    out.end = piece_of(text, map, last, std::max<size_t>(end, 1) - 1).value_or(Origin{0, out.end}).end;
  }
  // What follows the last digit, such as padding, belongs to the last byte.
  if (map.between > 0 && next != anchors.end() && next->at == end &&
      (std::next(next) == anchors.end() || std::next(next)->at == end + map.between))
    out.end = std::max<size_t>(out.end, next->from);
  if (end >= map.text.size()) out.end = std::max(map.end, out.begin);
  out.end = std::max(out.begin, out.end);
  return out;
}

}  // namespace bottle::scan
