// Implements the decompression of decode.h.
//
// Most attempts fail, because every file has two or three bytes that look like a magic number. A failed attempt must
// therefore cost little: decoders with large windows are kept from one attempt to the next, output grows in small
// pieces, and the header of a zstd frame is checked before a decoder sees it.
#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <memory>

#include "scan/encoding/decode.h"
#include "scan/encoding/peek.h"
#include "scan/encoding/simd/survey_masks.h"

namespace bottle::scan {
namespace {

struct EndInflate {
  void operator()(z_stream* stream) const {
    inflateEnd(stream);
    delete stream;
  }
};

constexpr size_t kPiece = 4 * 1024;  // the output grows by this much

// Calls `step` with room for more output until it reports the end or the output has `most` bytes. `step` returns how
// many bytes it wrote, and sets `going`.
template <typename F>
std::string grown(size_t most, F step) {
  std::string out;
  std::array<char, kPiece> piece;  // not initialized, because most attempts end within a few bytes
  for (bool going = true; going && out.size() < most;) {
    size_t size = step(piece.data(), std::min(kPiece, most - out.size()), going);
    out.append(piece.data(), size);
  }
  return out;
}

// Decompresses gzip, zlib or deflate: `window` says which, as for inflateInit2.
std::string inflated(int window, std::string_view bytes, size_t most, size_t& used) {
  // The stream is kept, because its window takes 40 KB and most attempts end within a few bytes.
  thread_local std::unique_ptr<z_stream, EndInflate> stream;
  if (!stream) {
    stream.reset(new z_stream{});
    if (inflateInit2(stream.get(), window) != Z_OK) return {};
  } else if (inflateReset2(stream.get(), window) != Z_OK) {
    return {};
  }
  stream->next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream->avail_in = static_cast<uInt>(bytes.size());
  std::string out = grown(most, [&](char* to, size_t room, bool& going) {
    stream->next_out = reinterpret_cast<Bytef*>(to);
    stream->avail_out = static_cast<uInt>(room);
    // If room is left, all input was used. The output so far is the result, even if the data goes on outside of the
    // block.
    going = inflate(stream.get(), Z_SYNC_FLUSH) == Z_OK && stream->avail_out == 0;
    return room - stream->avail_out;
  });
  used = bytes.size() - stream->avail_in;
  return out;
}

// Returns whether the bytes, which begin with zstd's magic number, go on like a frame and its first block (RFC 8878).
// Costs much less than an attempt.
bool begins_frame(std::string_view bytes) {
  constexpr size_t kMark = 4, kHeader = 3;
  if (bytes.size() <= kMark) return false;
  auto byte = [&](size_t at) { return static_cast<unsigned char>(bytes[at]); };
  unsigned descriptor = byte(kMark);
  bool reserved = descriptor & 8, single = descriptor & 0x20;
  static constexpr size_t kDictionary[] = {0, 1, 2, 4}, kContent[] = {0, 2, 4, 8};
  size_t content = kContent[descriptor >> 6];
  size_t block = kMark + 1 + (single ? 0 : 1) + kDictionary[descriptor & 3] + (single && content == 0 ? 1 : content);
  if (reserved || block + kHeader > bytes.size()) return false;
  constexpr unsigned kLargestBlock = 128 * 1024, kReserved = 3;
  unsigned header = byte(block) | byte(block + 1) << 8 | static_cast<unsigned>(byte(block + 2)) << 16;
  return (header >> 1 & 3) != kReserved && header >> 3 <= kLargestBlock;
}

using ZstdStream = std::unique_ptr<ZSTD_DStream, size_t (*)(ZSTD_DStream*)>;
// The stream is kept, because making one costs more than most attempts.
ZstdStream& zstd_stream() {
  thread_local ZstdStream stream(nullptr, ZSTD_freeDStream);
  return stream;
}

// Returns at most `most` decoded bytes, or those before the first mistake.
std::string unzstd(std::string_view bytes, size_t most, size_t& used) {
  if (!begins_frame(bytes)) return {};
  ZstdStream& stream = zstd_stream();
  if (!stream) {
    constexpr int kLargestWindow = 23;  // a power of two: 8 MB, which the format asks every reader to accept
    stream.reset(ZSTD_createDStream());
    if (!stream) return {};
    ZSTD_DCtx_setParameter(stream.get(), ZSTD_d_windowLogMax, kLargestWindow);
  }
  ZSTD_DCtx_reset(stream.get(), ZSTD_reset_session_only);
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  std::string text = grown(most, [&](char* to, size_t room, bool& going) {
    ZSTD_outBuffer out{to, room, 0};
    size_t result = ZSTD_decompressStream(stream.get(), &out, &in);
    going = !ZSTD_isError(result) && result != 0 && (out.pos == room || in.pos < in.size) && out.pos > 0;
    return out.pos;
  });
  used = in.pos;
  return text;
}

// Brotli has no magic number, so any bytes may be given. Returns what could be decoded before the first mistake.
std::string unbrotli(std::string_view bytes, size_t most, size_t& used) {
  std::unique_ptr<BrotliDecoderState, void (*)(BrotliDecoderState*)> state(
      BrotliDecoderCreateInstance(nullptr, nullptr, nullptr), BrotliDecoderDestroyInstance);
  size_t in_left = bytes.size();
  auto* in = reinterpret_cast<const uint8_t*>(bytes.data());
  std::string text = grown(most, [&](char* to, size_t room, bool& going) {
    size_t left = room;
    auto* next = reinterpret_cast<uint8_t*>(to);
    auto result = BrotliDecoderDecompressStream(state.get(), &in_left, &in, &left, &next, nullptr);
    going = result == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT;
    return room - left;
  });
  used = bytes.size() - in_left;
  return text;
}

}  // namespace

void forget_windows() {
  constexpr size_t kLargestKept = 256 * 1024;
  ZstdStream& stream = zstd_stream();
  if (stream && ZSTD_sizeof_DStream(stream.get()) > kLargestKept) stream.reset();
}

std::string decompressed(Compression compression, std::string_view bytes, size_t most, size_t& used) {
  used = 0;
  switch (compression) {
    case Compression::gzip:
      return inflated(15 + 16, bytes, most, used);
    case Compression::zlib:
      return inflated(15, bytes, most, used);
    case Compression::deflate:
      return inflated(-15, bytes, most, used);
    case Compression::zstd:
      return unzstd(bytes, most, used);
    case Compression::brotli:
      return unbrotli(bytes, most, used);
  }
  return {};
}

namespace {

// Returns a mask of the positions that have the first two bytes of a gzip, zstd or zlib stream or of a zip file. Reads
// 65 bytes.
uint64_t packs_at(const uint8_t* bytes) {
  return packed_mask(bytes) | mask_of(load_block(bytes), load_block(bytes + 1),
                                      [](const Lanes& c, const Lanes& n) { return equal(c, 'P') & equal(n, 'K'); });
}

}  // namespace

bool has_packed(std::string_view bytes) {
  auto begins = [&](size_t at) {
    std::string_view rest = bytes.substr(at);
    return rest[0] == 'x' || rest.starts_with("\x1f\x8b\x08") || rest.starts_with("\x28\xb5\x2f\xfd") ||
           rest.starts_with("PK\3\4");
  };
  std::array<uint8_t, kBlock + 1> copy;
  for (size_t at = 0; at < bytes.size(); at += kBlock)
    for (uint64_t mask = packs_at(padded<1>(bytes, at, copy)); mask; mask &= mask - 1)
      if (begins(at + static_cast<size_t>(std::countr_zero(mask)))) return true;
  return false;
}

}  // namespace bottle::scan
