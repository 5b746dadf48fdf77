// Whole messages as text. A message type has a name for its errors and a bound for its length:
//
//   struct Resize {
//     static constexpr const char* kName = "resize request";
//     static constexpr size_t kMost = 1000;
//     …
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "wire/codec/object.h"

namespace bottle::wire {

struct Kind {
  const char* name;
  size_t most;  // bytes
};
// Of a type that cannot say it itself, a specialization does.
template <class T>
inline constexpr Kind kKind = {T::kName, T::kMost};

enum class Layout {
  line,
  ascii,   // a line in which every other character is escaped
  pretty,  // several lines, indented, with a line end
};

// A message on its way through JSON.
class Document {
 public:
  explicit Document(Kind kind);                           // to write one
  Document(Kind kind, std::string_view text, From from);  // to read one
  ~Document();
  Document(const Document&) = delete;
  Document& operator=(const Document&) = delete;

  Object root();
  void finish(Object& root);
  std::string text(Layout layout) const;
  // The first error, of reading, or of writing text that JSON cannot hold or that the reader would refuse.
  Result<> outcome() const;

 private:
  friend class Object;
  struct State;
  std::unique_ptr<State> state_;
};

namespace detail {
template <class T>
void write(Document& document, const T& message) {
  Object root = document.root();
  fields(root, const_cast<T&>(message));  // which changes nothing while it writes
  document.finish(root);
}
}  // namespace detail

// Never fails: bytes that are no UTF-8 become U+FFFD. For what people read.
template <class T>
std::string encode(const T& message, Layout layout = Layout::line) {
  Document document(kKind<T>);
  detail::write(document, message);
  return document.text(layout);
}

// For what must arrive as it is: Code::invalid where text is no UTF-8 or longer than the reader takes.
template <class T>
Result<std::string> encode_exactly(const T& message) {
  Document document(kKind<T>);
  detail::write(document, message);
  TRY(document.outcome());
  return document.text(Layout::line);
}

// Code::protocol: "the job cannot be read: remote.far.port is missing". Code::invalid: it is not JSON, as a line that
// was cut.
template <class T>
Result<T> decode(std::string_view text, From from) {
  Document document(kKind<T>, text, from);
  T message;
  Object root = document.root();
  fields(root, message);
  document.finish(root);
  TRY(document.outcome());
  return message;
}

}  // namespace bottle::wire
