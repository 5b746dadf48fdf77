// The library is convenient, but not made for hostile input: it builds trees of any size, follows aliases without
// counting, and throws. So a first pass only counts events, a second one builds the tree and copies it into ours,
// with a budget that counts aliases as often as they are used, and no exception leaves this file. All values stay
// text. The kind of the key, not YAML, decides what `yes` or `010` mean.

#include "manifest/format/document.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <cstdio>
#include <optional>
#include <sstream>

#include "base/text/parse.h"

namespace bottle::manifest {
namespace {

// The library's parser is recursive, so the depth must be limited before it builds anything.
constexpr int kMaxDepth = 32;
constexpr int kMaxNodes = 100000;

// Returns a position as people count it, from 1. The library counts from 0.
std::string place(const std::string& path, const YAML::Mark& mark) {
  if (mark.is_null()) return path + ":1:1";
  return path + ":" + std::to_string(mark.line + 1) + ":" + std::to_string(mark.column + 1);
}

// Returns the kind of the node in the words of an error message.
std::string kind_name(const Node& node) {
  switch (node.kind) {
    case Node::Kind::nothing:
      return "nothing";
    case Node::Kind::scalar:
      return "a scalar";
    case Node::Kind::list:
      return "a list";
    case Node::Kind::map:
      return "keys and values";
  }
  return "";
}

// Copies a node of the library and everything below it. `budget` is how many more nodes the document may have.
Result<Node> convert(const std::string& path, const YAML::Node& from, int depth, int& budget) {
  Node node;
  node.at = place(path, from.Mark());
  if (depth > kMaxDepth) return fail_at(node.at, "nested too deeply");
  // Nodes are counted again, because an alias is one event, but stands for all nodes below it.
  if (--budget < 0) return fail_at(node.at, "too large: more than 100000 values");
  switch (from.Type()) {
    case YAML::NodeType::Undefined:
    case YAML::NodeType::Null:
      break;
    case YAML::NodeType::Scalar:
      node.kind = Node::Kind::scalar;
      node.text = from.Scalar();
      break;
    case YAML::NodeType::Sequence:
      node.kind = Node::Kind::list;
      for (const auto& item : from) node.items.push_back(TRY(convert(path, item, depth + 1, budget)));
      break;
    case YAML::NodeType::Map:
      node.kind = Node::Kind::map;
      for (const auto& entry : from) {
        Node key = TRY(convert(path, entry.first, depth + 1, budget));
        if (key.kind != Node::Kind::scalar) return fail_at(key.at, "a key must be text, but this is " + kind_name(key));
        // The library would silently keep one of the two.
        if (const Node* first = node.find(key.text))
          return fail_at(key.at, "'" + key.text + "' appears twice",
                         "remove one of the two; the other value is at " + first->at);
        Node value = TRY(convert(path, entry.second, depth + 1, budget));
        if (value.kind == Node::Kind::nothing) value.at = key.at;  // an empty value has no position, but its key has
        node.entries.push_back({std::move(key), std::move(value)});
      }
      break;
  }
  return node;
}

// Scans a text without keeping anything. The library's LoadAll never returns for some broken texts and would build a
// tree of any size. This scan stops at a second document, or when the first one is too large.
class Gauge : public YAML::EventHandler {
 public:
  explicit Gauge(const std::string& path) : path_(path) {}
  std::optional<Error> error;

  void OnDocumentStart(const YAML::Mark& mark) override {
    // Only one document is read, so rules in a second one would be silently ignored.
    if (++documents_ == 2) stop(mark, "a second document begins here", "put everything into one document");
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { count(mark); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { count(mark); }
  void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t, const std::string&) override {
    count(mark);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    open(mark);
  }
  void OnSequenceEnd() override { --depth_; }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    open(mark);
  }
  void OnMapEnd() override { --depth_; }

  struct Stop : std::exception {};

 private:
  void stop(const YAML::Mark& mark, const char* what, std::string todo = {}) {
    error = fail_at(place(path_, mark), what, std::move(todo)).error();
    // An exception is the only way to end the library's scan.
    throw Stop();
  }
  void count(const YAML::Mark& mark) {
    if (++nodes_ > kMaxNodes) stop(mark, "too large: more than 100000 values");
  }
  void open(const YAML::Mark& mark) {
    if (++depth_ > kMaxDepth + 1) stop(mark, "nested too deeply");
    count(mark);
  }

  const std::string& path_;
  int documents_ = 0, nodes_ = 0, depth_ = 0;
};

// Fails if the text has more than one document, is nested too deeply or has too many nodes.
Result<> gauge(const std::string& path, const std::string& text) {
  Gauge gauge(path);
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  try {
    while (parser.HandleNextDocument(gauge)) continue;
  } catch (const Gauge::Stop&) {
    return std::unexpected(std::move(*gauge.error));
  }
  return {};
}

// JSON writes characters beyond U+FFFF as two \u escapes, YAML as one \U: {"p":"\ud83d\ude00"} must still be read.
std::string join_surrogates(const std::string& text) {
  std::string out;
  out.reserve(text.size());
  // Returns the number of a \u escape at a position, or 0 if there is none.
  auto unit = [&](size_t at) -> unsigned long {
    if (at + 6 > text.size() || text[at] != '\\' || text[at + 1] != 'u') return 0;
    return number_in<unsigned long>(std::string_view(text).substr(at + 2, 4), 16).value_or(0);
  };
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    unsigned long high = unit(i), low = unit(i + 6);
    if (high >= 0xd800 && high < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
      char joined[12];
      std::snprintf(joined, sizeof joined, "\\U%08lX", 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
      out += joined;
      i += 11;
    } else {
      out += text[i];
      // Also copies the escaped character, so that the second half of \\ does not begin an escape.
      if (i + 1 < text.size()) out += text[++i];
    }
  }
  return out;
}

}  // namespace

const Node* Node::find(std::string_view key) const {
  for (const auto& [name, value] : entries)
    if (name.text == key) return &value;
  return nullptr;
}

std::unexpected<Error> fail_at(const std::string& at, const std::string& what, std::string todo) {
  return fail(Code::invalid, at + ": " + what, std::move(todo));
}

Result<Node> read_document(const std::string& path, const std::string& text) {
  if (text.find('\0') != std::string::npos) return fail_at(path + ":1:1", "not a text file");
  try {
    int budget = kMaxNodes;
    // JSON is read as YAML, which lacks only this form of escape.
    std::string readable = path.ends_with(".json") ? join_surrogates(text) : text;
    TRY(gauge(path, readable));
    return convert(path, YAML::Load(readable), 0, budget);
  } catch (const YAML::Exception& e) {
    return fail_at(place(path, e.mark), e.msg,
                   "use quotes around values that contain ': ' or ' #', or that begin with one of { [ * & ! | > % @");
  } catch (const std::exception& e) {
    return fail_at(path + ":1:1", std::string("cannot be read: ") + e.what());
  }
}

}  // namespace bottle::manifest
