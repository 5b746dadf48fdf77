// Encodes and decodes whole messages. A message type has a name for error messages and a limit for its length:
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

// Holds the name of a message type in errors, such as "the job cannot be read", and the length of the longest text
// that is decoded.
struct Kind {
  const char* name;
  size_t most;  // in bytes
};
// Holds the name and limit of a message type. Specialize it for a type that cannot have these members.
template <class T>
inline constexpr Kind kKind = {T::kName, T::kMost};

// Says how a message is laid out as text. Over a socket or a pipe, each message is one line.
enum class Layout {
  line,
  ascii,   // a line in which every non-ASCII character is escaped
  pretty,  // several indented lines with a line end
};

// Holds a message while it is converted to or from JSON.
class Document {
 public:
  explicit Document(Kind kind);                           // Starts a document to write a message into.
  Document(Kind kind, std::string_view text, From from);  // Starts a document to read a message from text.
  ~Document();
  Document(const Document&) = delete;
  Document& operator=(const Document&) = delete;

  // Returns the outermost object, for fields(). Then call finish() with it and, when writing, text().
  Object root();
  void finish(Object& root);
  std::string text(Layout layout) const;
  // Returns the first error. When writing, text that JSON cannot represent or that the reader would refuse is an error
  // too.
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
  fields(root, const_cast<T&>(message));  // fields() changes nothing when it writes
  document.finish(root);
}
}  // namespace detail

// Encodes a message for people to read. Never fails: bytes that are not UTF-8 become U+FFFD.
template <class T>
std::string encode(const T& message, Layout layout = Layout::line) {
  Document document(kKind<T>);
  detail::write(document, message);
  return document.text(layout);
}

// Encodes a message that must arrive unchanged. Fails with Code::invalid if its text is not UTF-8 or is longer than the
// reader accepts.
template <class T>
Result<std::string> encode_exactly(const T& message, Layout layout = Layout::line) {
  Document document(kKind<T>);
  detail::write(document, message);
  TRY(document.outcome());
  return document.text(layout);
}

// Decodes a message. Fails with Code::protocol and a text such as "the job cannot be read: remote.far.port is
// missing". Fails with Code::invalid if the text is not JSON, such as a line that was cut.
template <class T>
Result<T> decode(std::string_view text, From from) {
  Document document(kKind<T>, text, from);
  TRY(document.outcome());  // a record may have many lines that are not messages, and a message has many fields
  T message;
  Object root = document.root();
  fields(root, message);
  document.finish(root);
  TRY(document.outcome());
  return message;
}

}  // namespace bottle::wire
