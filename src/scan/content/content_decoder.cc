// Each coding is a layer that takes bytes and appends decoded ones; the output of one is the input of the next. A
// step runs every layer, from the outermost to the innermost, and no layer gets more input while it has enough.
// Few bytes can decode to very many, so every call has a bound on its output. They can also decode to very many bytes
// of an inner layer that decode to next to nothing, so every call also has a bound on what all layers take.
//
// Bytes that a server's decoder would skip are an error here, as far as the library shows them: bytes after the end,
// and frames that readers ignore. Otherwise, they could carry a secret past the scan of the decoded body.
#include "scan/content/content_decoder.h"

#include <brotli/decode.h>
#include <zlib.h>
#define ZSTD_STATIC_LINKING_ONLY  // for the functions that say what input comes next
#include <zstd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "base/text/words.h"

namespace bottle::scan {
namespace {

// Returns the names in the list in lower case. Leaves out empty ones.
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

// Decodes one coding. The first byte opens the decoder.
struct ContentDecoder::Layer {
  virtual ~Layer() = default;
  // Takes at most kMostInput bytes from the front of `in`, and appends at most `most` bytes to `out`.
  static constexpr size_t kMostInput = 16 * 1024;
  virtual bool next(std::string_view& in, std::string& out, size_t most) = 0;
  // Returns how many of the last bytes it may have kept without decoding them.
  virtual size_t most_kept() const { return 0; }
  // Returns approximately how many bytes the decoder holds.
  virtual size_t held() const = 0;

  bool open = false, ended = false;
  std::string pending;  // the output of the next outer layer
  size_t skipped = 0;   // the bytes that it has taken since it last appended something
  uint64_t taken = 0;   // all bytes that it has taken
};

namespace {

using Layer = ContentDecoder::Layer;

// Appends at most `most` bytes, as many as `write`, which gets the place for them, returns.
template <typename F>
void append_written(std::string& out, size_t most, F write) {
  size_t had = out.size();
  out.resize_and_overwrite(had + most, [&](char* bytes, size_t) { return had + write(bytes + had); });
}

// Decodes gzip and zlib. The coding "deflate" means the zlib format, but some clients and servers send raw deflate
// data.
struct InflateLayer : Layer {
  explicit InflateLayer(bool is_gzip) : gzip(is_gzip) {}
  ~InflateLayer() override {
    if (open) inflateEnd(&stream);
  }

  // The lower half of the first byte of zlib is 8. Raw deflate data would begin like that only if its unused bits
  // were not zero.
  bool begin(std::string_view in) {
    bool bare = (in[0] & 15) != 8;
    open = inflateInit2(&stream, gzip ? 15 + 16 : bare ? -15 : 15) == Z_OK;
    return open;
  }

  bool next(std::string_view& in, std::string& out, size_t most) override {
    // A gzip file may consist of several members (RFC 1952 §2.2).
    if (ended && !begin_member(in)) return in.empty();
    if (!open) {
      if (in.empty()) return true;
      if (!begin(in)) return false;
    }
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
    // zlib counts in 32 bits. The caller calls again with the rest.
    stream.avail_in = static_cast<uInt>(std::min<size_t>(in.size(), kMostInput));
    uInt before = stream.avail_in;
    int result = Z_OK;
    append_written(out, most, [&](char* to) {
      stream.next_out = reinterpret_cast<Bytef*>(to);
      stream.avail_out = static_cast<uInt>(most);
      result = inflate(&stream, Z_NO_FLUSH);
      return most - stream.avail_out;
    });
    in.remove_prefix(before - stream.avail_in);
    ended = result == Z_STREAM_END;
    // Z_BUF_ERROR only says that nothing could be done with these buffers.
    return result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR;
  }

  // Returns whether another gzip member follows. Drops zeros after the end (padding), but nothing else, because bytes
  // that a reader skips could carry data.
  bool begin_member(std::string_view& in) {
    if (gzip && !padding && in.starts_with('\x1f')) {
      if (inflateReset(&stream) != Z_OK) return false;
      ended = false;
      return true;
    }
    padding |= !in.empty();
    in.remove_prefix(std::min(in.find_first_not_of('\0'), in.size()));
    return false;
  }

  size_t held() const override { return open ? kInflate : 0; }

  static constexpr size_t kInflate = 44 * 1024;  // the memory that zlib uses, including its window
  bool gzip, padding = false;
  z_stream stream{};
};

// Decodes Brotli. Its window has up to 16 MB; a body that needs more than kMostMemory is refused.
struct BrotliLayer : Layer {
  ~BrotliLayer() override { BrotliDecoderDestroyInstance(state); }

  bool next(std::string_view& in, std::string& out, size_t most) override {
    if (in.empty() && !open) return true;
    if (ended) return in.empty();
    if (!state) state = BrotliDecoderCreateInstance(&allocate, &release, this);
    if (!state) return false;
    open = true;
    size_t given = std::min(in.size(), kMostInput), left = given;
    auto* from = reinterpret_cast<const uint8_t*>(in.data());
    auto result = BROTLI_DECODER_RESULT_ERROR;
    append_written(out, most, [&](char* room) {
      size_t out_left = most;
      auto* to = reinterpret_cast<uint8_t*>(room);
      result = BrotliDecoderDecompressStream(state, &left, &from, &out_left, &to, nullptr);
      return most - out_left;
    });
    in.remove_prefix(given - left);
    ended = result == BROTLI_DECODER_RESULT_SUCCESS;
    return result != BROTLI_DECODER_RESULT_ERROR;
  }

  size_t held() const override { return allocated; }

  // Each block begins with its size, so that release() can subtract it.
  static void* allocate(void* self, size_t size) {
    auto& layer = *static_cast<BrotliLayer*>(self);
    // On null, the library fails, and so the body is refused.
    if (size > kMostMemory || layer.allocated + size > kMostMemory) return nullptr;
    auto* block = static_cast<std::max_align_t*>(std::malloc(size + sizeof(std::max_align_t)));
    if (!block) return nullptr;
    std::memcpy(block, &size, sizeof size);
    layer.allocated += size;
    return block + 1;
  }
  static void release(void* self, void* address) {
    if (!address) return;
    auto* block = static_cast<std::max_align_t*>(address) - 1;
    size_t size;
    std::memcpy(&size, block, sizeof size);
    static_cast<BrotliLayer*>(self)->allocated -= size;
    std::free(block);
  }

  static constexpr size_t kMostMemory = 10 << 20;
  size_t allocated = 0;
  BrotliDecoderState* state = nullptr;
};

// Decodes one frame of Zstandard. Refuses frames that readers skip, because they could carry data.
struct ZstdLayer : Layer {
  ~ZstdLayer() override { ZSTD_freeDStream(stream); }

  bool next(std::string_view& in, std::string& out, size_t most) override {
    if (in.empty() && !open) return true;
    if (ended) return in.empty();
    if (!open) {
      constexpr char kMagic = 0x28;       // the first byte of a frame that is not skipped
      constexpr int kLargestWindow = 23;  // a power of two: 8 MB, the most that RFC 9659 allows in HTTP
      stream = ZSTD_createDStream();
      if (!stream || in[0] != kMagic) return false;
      ZSTD_DCtx_setParameter(stream, ZSTD_d_windowLogMax, kLargestWindow);
      open = true;
    }
    ZSTD_inBuffer from{in.data(), std::min(in.size(), kMostInput), 0};
    size_t result = 0;
    append_written(out, most, [&](char* room) {
      ZSTD_outBuffer to{room, most, 0};
      result = ZSTD_decompressStream(stream, &to, &from);
      return to.pos;
    });
    in.remove_prefix(from.pos);
    accepted += from.pos;
    ended = result == 0;
    missing = result;
    return !ZSTD_isError(result);
  }

  // The library decodes most blocks only when all of them has arrived. Its hint is how many bytes of the block are
  // missing, with the size of the next block's header unless the block is the last one of the frame.
  size_t most_kept() const override {
    if (!open || ended) return 0;
    if (accepted < kLongestFrameHeader) return accepted;  // until then, the library may not know what comes next
    auto next = ZSTD_nextInputType(stream);
    if (next != ZSTDnit_block && next != ZSTDnit_lastBlock) return 0;
    size_t wanted = ZSTD_nextSrcSizeToDecompress(stream) + (next == ZSTDnit_block ? kHeader : 0);
    return kHeader + wanted - missing;
  }

  size_t held() const override { return stream ? ZSTD_sizeof_DStream(stream) : 0; }

  static constexpr size_t kHeader = 3;               // of a block, in bytes (RFC 8878, section 3.1.1.2)
  static constexpr size_t kLongestFrameHeader = 18;  // with the magic number (section 3.1.1)
  ZSTD_DStream* stream = nullptr;
  size_t accepted = 0, missing = 0;  // bytes so far, and the library's hint of how many to pass next
};

std::unique_ptr<Layer> make_layer(std::string_view coding) {
  if (coding == "gzip" || coding == "x-gzip") return std::make_unique<InflateLayer>(true);
  if (coding == "deflate") return std::make_unique<InflateLayer>(false);
  if (coding == "br") return std::make_unique<BrotliLayer>();
  if (coding == "zstd") return std::make_unique<ZstdLayer>();
  return nullptr;
}

}  // namespace

ContentDecoder::ContentDecoder() = default;
ContentDecoder::ContentDecoder(ContentDecoder&&) noexcept = default;
ContentDecoder& ContentDecoder::operator=(ContentDecoder&&) noexcept = default;
ContentDecoder::~ContentDecoder() = default;

namespace {

// Returns whether the name does not stand for a coding of the bytes. Some programs put a character set or an encoding
// of mail here.
bool is_no_coding(std::string_view name) {
  for (std::string_view each :
       {"identity", "none", "aws-chunked", "amz-1.0", "utf-8", "utf8", "binary", "7bit", "8bit"})
    if (name == each) return true;
  return false;
}

}  // namespace

std::optional<ContentDecoder> ContentDecoder::make(std::string_view codings) {
  ContentDecoder decoder;
  for (const auto& name : split(codings)) {
    if (is_no_coding(name)) continue;
    auto layer = make_layer(name);
    if (!layer || decoder.layers_.size() == kMost) return std::nullopt;
    // The codings are listed in the order in which they were applied.
    decoder.layers_.insert(decoder.layers_.begin(), std::move(layer));
  }
  return decoder;
}

ContentDecoder::Step ContentDecoder::next(std::string_view& in, std::string& out) {
  size_t had = out.size();
  if (plain()) {
    out.append(in.substr(0, kPiece));
    in.remove_prefix(std::min(kPiece, in.size()));
    return in.empty() ? Step::all : Step::more;
  }
  uint64_t begun = moved_;
  while (out.size() - had < kPiece && moved_ - begun < kAtOnce) {
    uint64_t before = moved_;
    if (!step(in, out, kPiece - (out.size() - had))) return Step::wrong;
    if (moved_ == before) return Step::all;
  }
  return Step::more;
}

// Runs each layer. If one takes input and appends nothing, the layer before it has room again and must go on, which the
// next step does. Returns false if the bytes are wrong.
bool ContentDecoder::step(std::string_view& in, std::string& out, size_t most) {
  for (size_t i = 0; i < layers_.size(); ++i) {
    bool last = i + 1 == layers_.size();
    std::string& to = last ? out : layers_[i + 1]->pending;
    if (!last && to.size() >= kPiece) continue;  // the next layer has enough input
    std::string_view pending = layers_[i]->pending;
    if (!run(i, i == 0 ? in : pending, to, last ? most : kPiece - to.size())) return false;
    if (i > 0) layers_[i]->pending.erase(0, layers_[i]->pending.size() - pending.size());
  }
  return true;
}

// Runs one layer until it needs more input, has appended `most` bytes, or has taken enough for one step: it may have to
// be called for every few bytes.
bool ContentDecoder::run(size_t index, std::string_view& in, std::string& to, size_t most) {
  Layer& layer = *layers_[index];
  for (size_t taken = 0, had = to.size(); to.size() - had < most && taken < Layer::kMostInput;) {
    size_t left = in.size(), size = to.size();
    if (!layer.next(in, to, most - (size - had))) return false;
    size_t took = left - in.size(), appended = to.size() - size;
    if (took == 0 && appended == 0) break;
    taken += took;
    layer.taken += took;
    moved_ += took + appended;
    // Endless input that decodes to nothing would cost work, and would never be scanned.
    layer.skipped = appended > 0 ? 0 : layer.skipped + took;
    if (layer.skipped > kMostSkipped) return false;
    if (index > 0 && layer.taken > kFreelyInner + kMostInner * layers_[0]->taken) return false;
  }
  return true;
}

size_t ContentDecoder::most_kept() const {
  size_t outermost = layers_.empty() ? 0 : layers_[0]->most_kept();
  for (size_t i = 1; i < layers_.size(); ++i)
    // These are bytes that an outer layer has decoded, from an unknown number of its own.
    if (layers_[i]->most_kept() > 0 || !layers_[i]->pending.empty()) return SIZE_MAX;
  return outermost;
}

size_t ContentDecoder::memory() const {
  size_t bytes = 0;
  for (const auto& layer : layers_) bytes += layer->pending.capacity() + layer->held();
  return bytes;
}

bool ContentDecoder::complete() const {
  return std::ranges::all_of(
      layers_, [](const auto& layer) { return (layer->ended || !layer->open) && layer->pending.empty(); });
}

}  // namespace bottle::scan
