// Uses nlohmann's parser only as a source of events, and builds the value itself. That takes linear time, and makes it
// possible to count the depth before a container is opened and to see keys that come twice. Both are invisible in a
// finished value.

#include "base/text/json.h"

#include <vector>

// The template is instantiated only here; precompiled.h declares it `extern` to all other files.
template class nlohmann::basic_json<>;

namespace bottle {
namespace {

using nlohmann::json;

// Builds the value from the parser's events.
class Builder : public json::json_sax_t {
 public:
  explicit Builder(size_t depth) : depth_(depth) {}

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(number_integer_t value) override { return put(value); }
  bool number_unsigned(number_unsigned_t value) override { return put(value); }
  bool number_float(number_float_t value, const string_t&) override { return put(value); }
  bool string(string_t& value) override { return put(std::move(value)); }
  // JSON text has no binary values.
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(json::object()); }
  bool start_array(std::size_t) override { return open(json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    auto [place, is_new] = open_.back()->get_ref<json::object_t&>().emplace(std::move(name), nullptr);
    // The pointer stays valid: a map does not move its values, and nothing is added to this object before the value
    // has come.
    member_ = &place->second;
    // The library's own parser would silently keep the last of them.
    if (!is_new) why_ = {Code::invalid, "it has a key twice"};
    return is_new;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

  json take() { return std::move(root_); }
  const Error& why() const { return why_; }

 private:
  // Returns the place for the next value. Open containers do not move, because only the innermost one grows.
  json* place() {
    if (open_.empty()) return &root_;
    return open_.back()->is_array() ? &open_.back()->emplace_back() : member_;
  }
  bool put(json value) {
    *place() = std::move(value);
    return true;
  }
  bool open(json empty) {
    // The check comes before the container exists, so memory is bounded by the depth that the caller allows.
    if (open_.size() == depth_) {
      why_ = {Code::limit, "it is nested too deeply"};
      return false;
    }
    json* to = place();
    *to = std::move(empty);
    open_.push_back(to);
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  size_t depth_;
  json root_;
  std::vector<json*> open_;
  json* member_ = nullptr;
  Error why_{Code::invalid, "it is not JSON"};
};

// Returns whether the first byte may begin a value. The parser skips white space and a byte order mark.
bool may_be_json(std::string_view text) {
  size_t first = text.find_first_not_of(" \t\r\n");
  return first != text.npos && std::string_view("{[\"-0123456789tfn\xef").contains(text[first]);
}

}  // namespace

Result<json> parse_json(std::string_view text, size_t depth) {
  Builder builder(depth);
  // The parser would first compose an error message, which takes longer than parsing a short value. A file may have
  // very many lines that are not JSON.
  if (!may_be_json(text)) return std::unexpected(builder.why());
  // This also fails if something follows the value.
  if (!json::sax_parse(text, &builder)) return std::unexpected(builder.why());
  return builder.take();
}

bool is_utf8(std::string_view text) {
  // The first byte restricts the second one (RFC 3629, section 4), so that no character has two encodings.
  for (size_t i = 0; i < text.size();) {
    auto byte = [&](size_t at) { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0u; };
    unsigned first = byte(i), low = 0x80, high = 0xbf;
    // `more` is the number of bytes that follow the first one, and 4 stands for a byte that cannot be the first.
    size_t more = first < 0x80 ? 0 : first < 0xc2 ? 4 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : first < 0xf5 ? 3 : 4;
    if (more == 4) return false;
    if (first == 0xe0) low = 0xa0;
    if (first == 0xed) high = 0x9f;  // excludes surrogates
    if (first == 0xf0) low = 0x90;
    if (first == 0xf4) high = 0x8f;
    for (size_t k = 1; k <= more; ++k) {
      if (byte(i + k) < low || byte(i + k) > high) return false;
      low = 0x80, high = 0xbf;
    }
    i += more + 1;
  }
  return true;
}

}  // namespace bottle
