// Sends and receives a delivery over a slow connection. Instead of pieces that the other machine still has from the
// last delivery, it sends references to them.
//
// The far side keeps the last delivery of a workspace under ~/.cache/bottle/sent, encrypted with a key that only the
// near side keeps, so that the far side cannot read the data once the session is over. The near side remembers the
// position of each piece. The content decides where pieces are cut, so an insertion does not change the other pieces
// (docs/decisions/008-sent-again.md).
//
// The format: a line of JSON {["keep":name,"seal":key][,"open":key,"was":digest]}, then operations:
//   'b' length(4) text              an archive begins; text says where it goes
//   'e'                             the archive ends
//   'd' length(4) bytes             a piece
//   'z' length(4) packed(4) bytes   a piece, deflated
//   'c' offset(8) length(4)         a piece of the kept bytes
//   'f'                             the delivery ends
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/stream.h"
#include "base/unique_fd.h"
#include "pki/seal.h"
#include "transfer/delivery.h"

namespace bottle::transfer {

// Holds the positions of a delivery's pieces in the bytes that the far side keeps.
struct KeptPieces {
  // Says where a piece is, in bytes from the beginning of the delivery.
  struct Place {
    uint64_t offset;
    uint32_t length;
  };
  std::string key, digest;              // for all kept bytes
  std::map<std::string, Place> places;  // by the first 16 bytes of a piece's digest
};
// Convert the positions to the form in which the near side keeps them in a file, and back. The second returns nothing
// if the bytes do not have that form.
std::string to_bytes(const KeptPieces& pieces);
std::optional<KeptPieces> kept_from_bytes(std::string_view bytes);

// Returns where the next piece of `bytes` ends. Pieces have 4 to 64 KB, 16 KB on average. Returns 0 if more bytes are
// needed. `last` says that no more bytes follow.
size_t piece_of(std::string_view bytes, bool last);

constexpr uint64_t kMostKept = 2ull << 30;  // bytes of one delivery that the far side keeps

// Writes a delta on the near side. The far side keeps the delivery under `name` (hexadecimal digits), or not at all
// if `name` is empty. `before` describes what the far side is believed to have.
class DeltaWriter {
 public:
  DeltaWriter(Sink sink, std::string name, std::optional<KeptPieces> before, uint64_t most_kept = kMostKept);

  // Begin an archive that goes to the path `to`, add bytes of it in portions of any size, and end it. Archives follow
  // one another. They block and fail as the sink does.
  Result<> begin(const std::string& to);
  Result<> data(std::string_view bytes);
  Result<> end_archive();
  // Describes what the far side has after it has received everything. Returns nothing if the delivery is larger than
  // what the far side keeps, so that it has not changed anything.
  Result<std::optional<KeptPieces>> finish();

 private:
  Result<> pieces(bool last);
  Result<> piece(std::string_view bytes);
  Result<> put(std::string_view bytes, bool flush = false);
  Sink sink_;
  std::string name_;
  std::optional<KeptPieces> before_;
  KeptPieces now_;
  pki::Digest all_;
  uint64_t position_ = 0, most_kept_;
  std::string pending_, out_;
  bool begun_ = false;
};

// Reads operations from a descriptor and writes the delivery, on the far side. Fails with Code::conflict, before
// anything is written, if the bytes kept in `directory` differ from what the near side expects. If the delivery
// cannot be kept, because the disk is full for example, it continues without being kept.
Result<> apply_delta(int from, const std::string& directory, const std::function<Result<DeliveryWriter>()>& begin);

}  // namespace bottle::transfer
