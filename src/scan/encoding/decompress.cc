// Implements the decompression of decode.h.
#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <memory>

#include "scan/encoding/decode.h"

namespace bottle::scan {
namespace {

struct EndInflate {
  void operator()(z_stream* stream) const {
    inflateEnd(stream);
    delete stream;
  }
};

constexpr size_t kPiece = 16 * 1024;  // the output grows by this much

// Calls `step` with room for more output until it reports the end or the output has `most` bytes. `step` returns how
// many bytes it wrote, and sets `going`.
template <typename F>
std::string grown(size_t most, F step) {
  std::string out;
  bool going = true;
  while (going && out.size() < most) {
    size_t size = out.size(), room = std::min(kPiece, most - size);
    out.resize(size + room);
    out.resize(size + step(out.data() + size, room, going));
  }
  return out;
}

std::string inflated(int window, std::string_view bytes, size_t most) {
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
  return grown(most, [&](char* to, size_t room, bool& going) {
    stream->next_out = reinterpret_cast<Bytef*>(to);
    stream->avail_out = static_cast<uInt>(room);
    going = inflate(stream.get(), Z_SYNC_FLUSH) == Z_OK && stream->avail_out == 0;
    return room - stream->avail_out;
  });
}

std::string unzstd(std::string_view bytes, size_t most) {
  std::unique_ptr<ZSTD_DStream, size_t (*)(ZSTD_DStream*)> stream(ZSTD_createDStream(), ZSTD_freeDStream);
  constexpr int kLargestWindow = 23;  // a power of two: 8 MB, which the format asks every reader to accept
  ZSTD_DCtx_setParameter(stream.get(), ZSTD_d_windowLogMax, kLargestWindow);
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  return grown(most, [&](char* to, size_t room, bool& going) {
    ZSTD_outBuffer out{to, room, 0};
    size_t result = ZSTD_decompressStream(stream.get(), &out, &in);
    going = !ZSTD_isError(result) && result != 0 && (out.pos == room || in.pos < in.size) && out.pos > 0;
    return out.pos;
  });
}

std::string unbrotli(std::string_view bytes, size_t most) {
  std::unique_ptr<BrotliDecoderState, void (*)(BrotliDecoderState*)> state(
      BrotliDecoderCreateInstance(nullptr, nullptr, nullptr), BrotliDecoderDestroyInstance);
  size_t in_left = bytes.size();
  auto* in = reinterpret_cast<const uint8_t*>(bytes.data());
  return grown(most, [&](char* to, size_t room, bool& going) {
    size_t left = room;
    auto* next = reinterpret_cast<uint8_t*>(to);
    auto result = BrotliDecoderDecompressStream(state.get(), &in_left, &in, &left, &next, nullptr);
    going = result == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT;
    return room - left;
  });
}

}  // namespace

std::string decompressed(Compression compression, std::string_view bytes, size_t most) {
  switch (compression) {
    case Compression::gzip:
      return inflated(15 + 16, bytes, most);
    case Compression::zlib:
      return inflated(15, bytes, most);
    case Compression::deflate:
      return inflated(-15, bytes, most);
    case Compression::zstd:
      return unzstd(bytes, most);
    case Compression::brotli:
      return unbrotli(bytes, most);
  }
  return {};
}

}  // namespace bottle::scan
