// Compresses texts for tests.
#pragma once

#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <string>
#include <string_view>

namespace bottle::scan {

// `window_bits` is zlib's argument: 31 for gzip, 15 for zlib, -15 for raw deflate.
inline std::string deflated(std::string_view text, int window_bits) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, text.size()) + 32, 0);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}

// Returns a gzip member with the smallest header.
inline std::string gzipped(std::string_view text) { return deflated(text, 31); }

// Returns a gzip member with a comment in its header, which decoders skip.
inline std::string gzipped(std::string_view text, std::string_view comment) {
  std::string member = gzipped(text);
  member[3] = 0x10;  // the header has a comment
  return member.insert(10, std::string(comment) + '\0');
}

// Returns one zstd frame.
inline std::string zstd(std::string_view text, bool has_checksum = false) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, 1);
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, has_checksum);
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress2(context, out.data(), out.size(), text.data(), text.size()));
  ZSTD_freeCCtx(context);
  return out;
}

// Returns an entry of a zip file.
inline std::string zip_entry(std::string_view name, std::string_view text) {
  std::string packed = deflated(text, -15), out("PK\3\4\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0", 18);
  for (size_t size : {packed.size(), text.size()})
    for (int i = 0; i < 4; ++i) out += static_cast<char>(size >> (8 * i));
  out += static_cast<char>(name.size());
  return out.append(3, '\0').append(name).append(packed);
}

}  // namespace bottle::scan
