// Implements the decompression of decode.h.
//
// Most attempts fail, because every file has two or three bytes that look like a magic number. A failed attempt must
// therefore cost little: decoders with large windows are kept from one attempt to the next, output grows in small
// pieces, and the header of a zstd frame is checked before a decoder sees it.
//
// A few bytes can also make a decoder build large tables and then end the block without output. Each decoder is
// therefore stopped where its tables begin, and their work is counted before the next ones.
#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <memory>
#include <optional>

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

// What decoders cost in addition to their bytes, as in BlockResult::work. Measured with blocks that are made to be
// slow.
constexpr size_t kBlockEnds = 120;                   // for each block of deflate and zstd
constexpr size_t kTables = 300, kMostTables = 8000;  // for each byte of the header of a block of deflate, and at most
constexpr size_t kFrameTables = 400, kMostFrame = 6000;  // the same for each byte of a compressed block of zstd
constexpr size_t kIdle = 100;                            // for each byte of brotli without output
constexpr size_t kTable = 5000, kBytesOfTable = 8;       // for each table of brotli, and bytes of it for one unit

// Counts the work of one attempt. Returns whether it may take it.
bool take(Unpacked& unpacked, size_t most, size_t work) {
  unpacked.spent = unpacked.spent || work > most - std::min(most, unpacked.work);
  if (!unpacked.spent) unpacked.work += work;
  return !unpacked.spent;
}

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

// Returns the size of the header of a gzip member (RFC 1952 §2.3): 0 if this is none, and more than all bytes if it is
// not whole. Any number of headers may claim that the same bytes belong to their names, so zlib does not read them.
size_t gzip_header(std::string_view bytes) {
  constexpr size_t kFixed = 10, kExtraSize = 2, kChecksum = 2;
  constexpr unsigned kDeflate = 8, kHasChecksum = 2, kHasExtra = 4, kHasName = 8, kHasComment = 16, kReserved = 0xe0;
  auto byte = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  if (bytes.size() < kFixed || byte(2) != kDeflate || byte(3) & kReserved) return 0;
  unsigned flags = byte(3);
  size_t end = kFixed;
  if (flags & kHasExtra) {
    if (end + kExtraSize > bytes.size()) return bytes.size() + 1;
    end += kExtraSize + byte(end) + size_t{256} * byte(end + 1);
  }
  for (unsigned text : {kHasName, kHasComment})
    if (flags & text) {
      size_t zero = end < bytes.size() ? bytes.find('\0', end) : bytes.npos;
      if (zero == bytes.npos) return bytes.size() + 1;
      end = zero + 1;
    }
  return end + (flags & kHasChecksum ? kChecksum : 0);
}

// Decompresses zlib or deflate: `window` says which, as for inflateInit2.
Unpacked inflated(int window, std::string_view bytes, size_t most, size_t most_work) {
  // The stream is kept, because its window takes 40 KB and most attempts end within a few bytes.
  thread_local std::unique_ptr<z_stream, EndInflate> stream;
  Unpacked unpacked;
  if (!stream) {
    stream.reset(new z_stream{});
    if (inflateInit2(stream.get(), window) != Z_OK) return unpacked;
  } else if (inflateReset2(stream.get(), window) != Z_OK) {
    return unpacked;
  }
  stream->next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream->avail_in = static_cast<uInt>(bytes.size());
  uInt header = stream->avail_in;  // the input that was left where the header of the block begins
  bool in_header = true;
  unpacked.text = grown(most, [&](char* to, size_t room, bool& going) {
    constexpr int kBlockEnd = 128, kHeaderEnd = 256;
    constexpr uInt kNoTables = 6;  // a longer header has tables
    stream->next_out = reinterpret_cast<Bytef*>(to);
    stream->avail_out = static_cast<uInt>(room);
    // Returns after each header and each block. That can need no input, because some bits were read before.
    int result = inflate(stream.get(), Z_TREES);
    bool at_header_end = stream->data_type & kHeaderEnd, at_block_end = stream->data_type & kBlockEnd;
    // If room is left elsewhere, all input was used. The output so far is the result, even if the data goes on outside
    // of the block.
    going = (result == Z_OK || result == Z_BUF_ERROR) && (at_header_end || at_block_end || stream->avail_out == 0);
    if (in_header && (at_header_end || !going)) {
      size_t size = header - stream->avail_in;
      going &= take(unpacked, most_work, kBlockEnds + (size > kNoTables ? std::min(size * kTables, kMostTables) : 0));
    }
    in_header = (in_header && !at_header_end) || at_block_end;
    if (at_block_end) header = stream->avail_in;
    return room - stream->avail_out;
  });
  unpacked.used = bytes.size() - stream->avail_in;
  return unpacked;
}

Unpacked gunzipped(std::string_view bytes, size_t most, size_t most_work) {
  constexpr size_t kTrailer = 8;
  size_t header = gzip_header(bytes);
  if (header == 0 || header >= bytes.size()) return {.used = std::min(header, bytes.size())};
  constexpr int kBare = -15;
  Unpacked unpacked = inflated(kBare, bytes.substr(header), most, most_work);
  unpacked.used = std::min(header + unpacked.used + kTrailer, bytes.size());
  return unpacked;
}

constexpr size_t kBlockHeader = 3;  // of zstd

struct FrameBlock {
  size_t end = 0;  // where the next block begins
  bool is_last = false;
  bool has_tables = false;
};

// Returns the block of a zstd frame that begins there (RFC 8878, section 3.1.1.2), or nothing if its header is invalid
// or not whole.
std::optional<FrameBlock> frame_block(std::string_view bytes, size_t at) {
  constexpr unsigned kLargest = 128 * 1024, kRepeated = 1, kCompressed = 2, kReserved = 3;
  if (at + kBlockHeader > bytes.size()) return {};
  auto byte = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  unsigned header = byte(at) | byte(at + 1) << 8 | static_cast<unsigned>(byte(at + 2)) << 16;
  unsigned type = header >> 1 & 3, size = header >> 3;
  if (type == kReserved || size > kLargest) return {};
  return FrameBlock{at + kBlockHeader + (type == kRepeated ? 1 : size), (header & 1) != 0, type == kCompressed};
}

// Returns where the first block begins of the frame that begins with zstd's magic number, or nothing if what follows
// that is not like a frame and its first block (RFC 8878). Costs much less than an attempt.
std::optional<size_t> first_block(std::string_view bytes) {
  constexpr size_t kMark = 4;
  if (bytes.size() <= kMark) return {};
  auto byte = [&](size_t at) { return static_cast<unsigned char>(bytes[at]); };
  unsigned descriptor = byte(kMark);
  bool reserved = descriptor & 8, single = descriptor & 0x20;
  static constexpr size_t kDictionary[] = {0, 1, 2, 4}, kContent[] = {0, 2, 4, 8};
  size_t content = kContent[descriptor >> 6];
  size_t block = kMark + 1 + (single ? 0 : 1) + kDictionary[descriptor & 3] + (single && content == 0 ? 1 : content);
  if (reserved || !frame_block(bytes, block)) return {};
  return block;
}

using ZstdStream = std::unique_ptr<ZSTD_DStream, size_t (*)(ZSTD_DStream*)>;
// The stream is kept, because making one costs more than most attempts.
ZstdStream& zstd_stream() {
  thread_local ZstdStream stream(nullptr, ZSTD_freeDStream);
  return stream;
}

// Returns at most `most` decoded bytes, or those before the first mistake. The decoder gets one block after another.
Unpacked unzstd(std::string_view bytes, size_t most, size_t most_work) {
  Unpacked unpacked;
  auto next = first_block(bytes);
  if (!next) return unpacked;
  ZstdStream& stream = zstd_stream();
  if (!stream) {
    constexpr int kLargestWindow = 23;  // a power of two: 8 MB, which the format asks every reader to accept
    stream.reset(ZSTD_createDStream());
    if (!stream) return unpacked;
    ZSTD_DCtx_setParameter(stream.get(), ZSTD_d_windowLogMax, kLargestWindow);
  }
  ZSTD_DCtx_reset(stream.get(), ZSTD_reset_session_only);
  ZSTD_inBuffer in{bytes.data(), *next, 0};
  unpacked.text = grown(most, [&](char* to, size_t room, bool& going) {
    ZSTD_outBuffer out{to, room, 0};
    size_t result = ZSTD_decompressStream(stream.get(), &out, &in);
    going = !ZSTD_isError(result) && result != 0;
    if (!going || out.pos == room) return out.pos;
    going = in.pos == in.size && in.size < bytes.size();
    if (!going) return out.pos;
    auto block = next ? frame_block(bytes, *next) : std::nullopt;
    if (block) {
      size_t size = block->end - *next, tables = std::min(size * kFrameTables, kMostFrame);
      going = take(unpacked, most_work, kBlockEnds + (block->has_tables ? tables : 0));
      next = block->is_last ? std::nullopt : std::optional(block->end);
    }
    // After the last block comes only a checksum.
    in.size = std::min(bytes.size(), block ? block->end : bytes.size());
    return out.pos;
  });
  unpacked.used = in.pos;
  return unpacked;
}

// Counts the tables that a decoder of brotli allocates for each block, even if few bytes describe them. What is larger
// than any table is its window, most of which it may never touch.
struct BrotliTables {
  Unpacked& unpacked;
  size_t most_work;
  int free = 4;  // those of the decoder itself, and the first ones that most attempts fail with
  static void* allocate(void* self, size_t size) {
    constexpr size_t kLargest = 2 << 20;
    auto& tables = *static_cast<BrotliTables*>(self);
    size_t work = kTable + (size <= kLargest ? size / kBytesOfTable : 0);
    if (tables.free > 0) --tables.free, work = 0;
    return take(tables.unpacked, tables.most_work, work) ? std::malloc(size) : nullptr;
  }
  static void release(void*, void* address) { std::free(address); }
};

// Returns `count` bits of a stream of deflate or brotli, of which the first is the lowest. Those after the end are 0.
uint32_t bits_at(std::string_view bytes, size_t at, size_t count) {
  uint32_t value = 0;
  for (size_t i = 0; i < count && (at + i) / 8 < bytes.size(); ++i)
    value |= (static_cast<unsigned char>(bytes[(at + i) / 8]) >> (at + i) % 8 & 1u) << i;
  return value;
}

// Returns how many bits the size of the window takes, with which a stream of brotli begins (RFC 7932, section 9.1).
size_t window_bits(std::string_view bytes) { return bits_at(bytes, 0, 1) == 0 ? 1 : bits_at(bytes, 1, 3) != 0 ? 4 : 7; }

// Skips the blocks of metadata at the beginning of a stream of brotli (RFC 7932, sections 9.1 and 9.2). One of forty
// pieces of random bytes begins like such a block, which may have any length, and the decoder would read all of it.
struct BrotliBegin {
  std::string head;  // the beginning of the stream that is left; empty if nothing was skipped
  size_t rest = 0;   // where the bytes begin that follow the head
};
BrotliBegin after_metadata(std::string_view bytes, Unpacked& unpacked, size_t most_work) {
  auto bits = [&](size_t at, size_t count) { return bits_at(bytes, at, count); };
  // The block is not the last one, has no length of data, and a reserved bit is 0.
  constexpr size_t kKindBits = 4, kSizeBits = 2;
  constexpr uint32_t kMetadata = 0b0110, kLastMetadata = 0b01101;
  const size_t window = window_bits(bytes);
  BrotliBegin begin;
  size_t at = window;
  while (at / 8 < bytes.size() && bits(at, kKindBits) == kMetadata) {
    size_t size = bits(at + kKindBits, kSizeBits), end = at + kKindBits + kSizeBits + size * 8, next = (end + 7) / 8;
    uint32_t length = bits(end - size * 8, size * 8);
    // The decoder refuses a length that has a needless byte, and bits other than 0 before the metadata.
    if ((size > 1 && length >> (size - 1) * 8 == 0) || bits(end, next * 8 - end) != 0) break;
    if (!take(unpacked, most_work, kBlockEnds)) break;
    begin.rest = next + (size > 0 ? length + 1 : 0);
    at = begin.rest * 8;
  }
  // The decoder permits metadata in the last block, after which nothing follows.
  if (bits(at, kKindBits + 1) == kLastMetadata) begin.rest = bytes.size();
  if (begin.rest == 0) return begin;
  // The stream that is left begins with the same window and an empty block of metadata, which ends at a whole byte.
  uint32_t head = bits(0, window) | kMetadata << window;
  for (size_t size = 0; size * 8 < window + kKindBits + kSizeBits; ++size)
    begin.head += static_cast<char>(head >> size * 8 & 0xff);
  begin.rest = std::min(begin.rest, bytes.size());
  return begin;
}

// Decodes the stream that begins with `begin`. Returns how many bytes the decoder has taken when it comes to a mistake,
// or 0 if there is none.
size_t decode_brotli(const BrotliBegin& begin, std::string_view bytes, size_t most, size_t most_work,
                     Unpacked& unpacked) {
  BrotliTables tables{unpacked, most_work};
  std::unique_ptr<BrotliDecoderState, void (*)(BrotliDecoderState*)> state(
      BrotliDecoderCreateInstance(&BrotliTables::allocate, &BrotliTables::release, &tables),
      BrotliDecoderDestroyInstance);
  if (!state) return 0;
  bool is_wrong = false;
  size_t head = begin.head.size(), no_room = 0;
  auto* head_bytes = reinterpret_cast<const uint8_t*>(begin.head.data());
  if (head > 0) BrotliDecoderDecompressStream(state.get(), &head, &head_bytes, &no_room, nullptr, nullptr);
  bytes.remove_prefix(begin.rest);
  size_t given = 0, left = 0, written = 0;
  auto* in = reinterpret_cast<const uint8_t*>(bytes.data());
  unpacked.text = grown(most, [&](char* to, size_t room, bool& going) {
    constexpr size_t kAtOnce = 1024;
    size_t room_left = room;
    auto* next = reinterpret_cast<uint8_t*>(to);
    size_t size = std::min(kAtOnce, bytes.size() - given);
    // Blocks of metadata have no output.
    if (left == 0 && given > written) going = take(unpacked, most_work, std::min(size, given - written) * kIdle);
    if (left == 0 && going) given += size, left = size;
    auto result = BrotliDecoderDecompressStream(state.get(), &left, &in, &room_left, &next, nullptr);
    written += room - room_left;
    is_wrong = result == BROTLI_DECODER_RESULT_ERROR;
    going &= result == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT ||
             (result == BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT && given < bytes.size());
    return room - room_left;
  });
  unpacked.used = begin.rest + given - left;
  return is_wrong ? unpacked.used : 0;
}

// Brotli has no magic number, so any bytes may be given. Returns what is decoded before the first mistake. The decoder
// gives nothing of the piece that has the mistake, so the bytes before the mistake are decoded once more.
Unpacked unbrotli(std::string_view bytes, size_t most, size_t most_work) {
  constexpr size_t kShortest = 16;  // fewer bytes are not decompressed
  constexpr int kTries = 3;         // the decoder may have taken some bytes more than the one with the mistake
  Unpacked unpacked;
  BrotliBegin begin = after_metadata(bytes, unpacked, most_work);
  unpacked.used = begin.rest;
  if (unpacked.spent || begin.rest == bytes.size()) return unpacked;
  size_t mistake = decode_brotli(begin, bytes, most, most_work, unpacked);
  for (int i = 0; i < kTries && !unpacked.spent && mistake > begin.rest + kShortest; ++i)
    mistake = decode_brotli(begin, bytes.substr(0, mistake - 1), most, most_work, unpacked);
  return unpacked;
}

}  // namespace

bool may_begin_with_copy(std::string_view bytes) {
  auto number = [&](size_t at, size_t count) { return bits_at(bytes, at, count); };
  constexpr size_t kStored = 5;  // bytes of the header of a stored block of deflate, with the length and its complement
  if (bytes.size() > kStored && number(1, 2) == 0 && number(8, 16) == (number(24, 16) ^ 0xffff)) return true;
  Unpacked unpacked;
  if (size_t rest = after_metadata(bytes, unpacked, kBlockEnds).rest; rest > 0) return rest < bytes.size();
  // A block of brotli that is not compressed is not the last one, and has 4 to 6 nibbles of length.
  size_t at = window_bits(bytes), digits = 4 + number(at + 1, 2), end = at + 3 + digits * 4 + 1;
  return number(at, 1) == 0 && digits < 7 && number(end - 1, 1) == 1 && number(end, (8 - end % 8) % 8) == 0 &&
         (end + 7) / 8 + number(at + 3, digits * 4) + 1 < bytes.size();
}

void forget_windows() {
  constexpr size_t kLargestKept = 256 * 1024;
  ZstdStream& stream = zstd_stream();
  if (stream && ZSTD_sizeof_DStream(stream.get()) > kLargestKept) stream.reset();
}

Unpacked decompressed(Compression compression, std::string_view bytes, size_t most, size_t most_work) {
  switch (compression) {
    case Compression::gzip:
      return gunzipped(bytes, most, most_work);
    case Compression::zlib:
      return inflated(15, bytes, most, most_work);
    case Compression::deflate:
      return inflated(-15, bytes, most, most_work);
    case Compression::zstd:
      return unzstd(bytes, most, most_work);
    case Compression::brotli:
      return unbrotli(bytes, most, most_work);
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
