#include "scan/encoding/content_decoder.h"

#include <zlib.h>

#include <algorithm>

namespace bottle::scan {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return out;
}

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> names;
  while (!list.empty()) {
    size_t comma = std::min(list.find(','), list.size());
    std::string_view name = list.substr(0, comma);
    list.remove_prefix(std::min(comma + 1, list.size()));
    while (!name.empty() && (name.front() == ' ' || name.front() == '\t')) name.remove_prefix(1);
    while (!name.empty() && (name.back() == ' ' || name.back() == '\t')) name.remove_suffix(1);
    if (!name.empty()) names.push_back(lower(name));
  }
  return names;
}

}  // namespace

struct ContentDecoder::Layer {
  explicit Layer(bool is_gzip) : gzip(is_gzip) {}
  ~Layer() {
    if (open) inflateEnd(&stream);
  }

  bool begin(std::string_view in) {
    // "deflate" means the zlib format, but some servers send raw deflate data.
    bool bare = !gzip && (in.size() < 2 || (static_cast<unsigned char>(in[0]) & 15) != 8 ||
                          (static_cast<unsigned char>(in[0]) * 256u + static_cast<unsigned char>(in[1])) % 31 != 0);
    open = inflateInit2(&stream, gzip ? 15 + 16 : bare ? -15 : 15) == Z_OK;
    return open;
  }

  // Appends at most `most` bytes to `out`.
  bool next(std::string_view& in, std::string& out, size_t most) {
    if (ended && !after_end(in)) return true;
    if (!open) {
      if (in.empty() || (!gzip && in.size() < 2)) return true;
      if (!begin(in)) return false;
    }
    size_t start = out.size();
    out.resize(start + most);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
    stream.avail_in = static_cast<uInt>(std::min<size_t>(in.size(), 1 << 20));
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + start);
    stream.avail_out = static_cast<uInt>(most);
    uInt before = stream.avail_in;
    int result = inflate(&stream, Z_NO_FLUSH);
    in.remove_prefix(before - stream.avail_in);
    out.resize(start + most - stream.avail_out);
    ended = result == Z_STREAM_END;
    return result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR;
  }

  // Returns whether another gzip member follows. Drops other bytes after the end (padding).
  bool after_end(std::string_view& in) {
    if (gzip && !padding && in.starts_with('\x1f')) {
      if (inflateReset(&stream) != Z_OK) return false;
      ended = false;
      return true;
    }
    padding |= !in.empty();
    in = {};
    return false;
  }

  bool gzip, open = false, ended = false, padding = false;
  z_stream stream{};
  std::string pending;  // the output of the next outer layer
};

ContentDecoder::ContentDecoder() = default;
ContentDecoder::ContentDecoder(ContentDecoder&&) noexcept = default;
ContentDecoder& ContentDecoder::operator=(ContentDecoder&&) noexcept = default;
ContentDecoder::~ContentDecoder() = default;

std::optional<ContentDecoder> ContentDecoder::make(std::string_view codings) {
  ContentDecoder decoder;
  for (const auto& name : split(codings)) {
    if (name == "identity" || name == "aws-chunked") continue;
    if (name != "gzip" && name != "x-gzip" && name != "deflate") return std::nullopt;
    if (decoder.layers_.size() == kMost) return std::nullopt;
    // The codings are listed in the order in which they were applied.
    decoder.layers_.insert(decoder.layers_.begin(), std::make_unique<Layer>(name != "deflate"));
  }
  return decoder;
}

bool ContentDecoder::next(std::string_view& in, std::string& out) {
  if (plain()) {
    out.append(in.substr(0, kPiece));
    in.remove_prefix(std::min(kPiece, in.size()));
    return true;
  }
  for (size_t i = 0; i < layers_.size(); ++i) {
    Layer& layer = *layers_[i];
    bool last = i + 1 == layers_.size();
    std::string& to = last ? out : layers_[i + 1]->pending;
    if (!last && to.size() >= kPiece) continue;  // the next layer has enough input
    std::string_view from = i == 0 ? in : std::string_view(layer.pending);
    size_t before = from.size();
    if (!layer.next(from, to, last ? kPiece : kPiece - to.size())) return false;
    if (i == 0) in = from;
    else layer.pending.erase(0, before - from.size());
  }
  return true;
}

size_t ContentDecoder::memory() const {
  constexpr size_t kInflate = 44 * 1024;  // the memory that zlib uses, including its window
  size_t bytes = 0;
  for (const auto& layer : layers_) bytes += layer->pending.capacity() + (layer->open ? kInflate : 0);
  return bytes;
}

bool ContentDecoder::complete() const {
  return std::ranges::all_of(
      layers_, [](const auto& layer) { return (layer->ended || !layer->open) && layer->pending.empty(); });
}

}  // namespace bottle::scan
