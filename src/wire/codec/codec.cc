// Implements the outer part of a message: the text, its limit, and the error. The fields are read and written through
// Object. The first mistake is kept and becomes the outcome, so a list of fields needs no checks for errors.
#include "wire/codec/codec.h"

#include "base/text/json.h"
#include "wire/codec/document.h"

namespace bottle::wire {
namespace {

using nlohmann::json;

Result<json> parse(std::string_view text, size_t most) {
  if (text.size() > most) return fail(Code::protocol, "it is longer than " + std::to_string(most) + " bytes");
  auto value = parse_json(text);
  // Only text that is not JSON keeps Code::invalid, so that the reader of a file can recognize a line that was cut.
  if (!value && value.error().code != Code::invalid) return fail(Code::protocol, value.error().what);
  return value;
}

}  // namespace

Document::Document(Kind kind) : state_(new State{kind, From::ours, false}) {}

Document::Document(Kind kind, std::string_view text, From from) : state_(new State{kind, from, true}) {
  auto value = parse(text, kind.most);
  if (value && value->is_object()) {
    state_->json = std::move(*value);
  } else {
    state_->error = value ? "it is not an object" : value.error().what;
    if (!value) state_->code = value.error().code;
  }
}

Document::~Document() = default;

Object Document::root() { return {*this, state_->error ? nullptr : &state_->json, nullptr, "", -1}; }

void Document::finish(Object& root) { root.finish(); }

std::string Document::text(Layout layout) const {
  // encode() never fails, so invalid UTF-8 is replaced. For encode_exactly(), outcome() has already refused it.
  auto text = state_->json.dump(layout == Layout::pretty ? 2 : -1, ' ', layout == Layout::ascii,
                                json::error_handler_t::replace);
  return layout == Layout::pretty ? text + "\n" : text;
}

Result<> Document::outcome() const {
  if (!state_->error) return {};
  std::string what = "the " + std::string(state_->kind.name);
  if (state_->reading) return fail(state_->code, what + " cannot be read: " + *state_->error);
  return fail(Code::invalid, what + " cannot be sent: " + *state_->error);
}

}  // namespace bottle::wire
