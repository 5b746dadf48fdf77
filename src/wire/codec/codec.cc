#include "wire/codec/codec.h"

#include "base/json.h"
#include "wire/codec/document.h"

namespace bottle::wire {
namespace {

using nlohmann::json;

// Why the text is no message, or nothing.
std::optional<std::string> parse(std::string_view text, size_t most, json& to) {
  if (text.size() > most) return "it is longer than " + std::to_string(most) + " bytes";
  auto value = parse_json(text);
  if (!value) return value.error().what;
  if (!value->is_object()) return "it is not an object";
  to = std::move(*value);
  return std::nullopt;
}

}  // namespace

Document::Document(Kind kind) : state_(new State{kind, From::ours, false}) {}

Document::Document(Kind kind, std::string_view text, From from) : state_(new State{kind, from, true}) {
  state_->error = parse(text, kind.most, state_->json);
}

Document::~Document() = default;

Object Document::root() { return {*this, state_->error ? nullptr : &state_->json, nullptr, "", -1}; }

void Document::finish(Object& root) { root.finish(); }

std::string Document::text(Layout layout) const {
  auto text = state_->json.dump(layout == Layout::pretty ? 2 : -1, ' ', layout == Layout::ascii,
                                json::error_handler_t::replace);
  return layout == Layout::pretty ? text + "\n" : text;
}

Result<> Document::outcome() const {
  if (!state_->error) return {};
  std::string what = "the " + std::string(state_->kind.name);
  if (state_->reading) return fail(Code::protocol, what + " cannot be read: " + *state_->error);
  return fail(Code::invalid, what + " cannot be sent: " + *state_->error);
}

}  // namespace bottle::wire
