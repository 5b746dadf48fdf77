// Replaces findings in a message with markers, so that the message keeps its length and its syntax. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "scan/detector.h"

namespace bottle::scan {

// Says how the marker is written.
enum class MarkerStyle : uint8_t {
  text,   // [redacted: NAME]
  json,   // the same, within strings; ignores a known secret that only seems to begin or end within an escape
  token,  // redacted-NAME: without spaces and brackets, as for URLs and forms
};

// Returns `[redacted: NAME]`, padded with '*' to `size` bytes, or only '*' if the marker is longer than that. It is
// always the same for the same name and size, and valid within a JSON string, whatever the name is.
std::string redaction(std::string_view name, size_t size, MarkerStyle style = MarkerStyle::text);

// Stands for the bytes [begin, end) of a text that a marker replaces.
struct Place {
  size_t begin = 0, end = 0;
  size_t sent = 0;         // the number of bytes at the beginning of the text that were sent and cannot change
  bool is_marked = false;  // what was sent of the place has the beginning of its marker
  bool is_begun = false;   // the rest of the place has not arrived
};

// Replaces the place of the finding, and never changes the text's length. JSON stays valid: the marker cuts no escape
// and no character, and if the finding spans several strings, or is a number, only letters and digits change. Base64
// stays valid as well: it decodes to the marker, and the bytes beside the marker stay as they were. Returns whether
// anything was left to replace.
bool redact(std::string& text, Place place, const Finding& finding, MarkerStyle style);

// Returns the end of the last whole character and whole escape in the text.
size_t end_of_whole(std::string_view text);

}  // namespace bottle::scan
