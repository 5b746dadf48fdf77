// A delivery over a line that is long: what the other machine has of the last one is named, not sent.
//
// The far side keeps the bytes of a workspace's last delivery under ~/.cache/bottle/sent, sealed with a key that only
// the near side keeps: when the session is over, nobody can read them there. The near side remembers where in them each
// piece is. Pieces are cut where the content says, so an insertion moves no other piece.
// (docs/decisions/008-sent-again.md)
//
// The wire: a line of JSON {["keep":name,"seal":key][,"open":key,"was":digest]}, then operations:
//   'b' length(4) text     an archive begins, text says where to         'e'  it ends
//   'd' length(4) bytes    a piece                                       'z' length(4) packed(4) bytes   a piece,
//   deflated 'c' offset(8) length(4)   a piece of what is kept                    'f'  the delivery ends
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

namespace bottle::session {

// Where the pieces of a delivery are in the bytes that the far side keeps.
struct KeptPieces {
  struct Place {
    uint64_t offset;
    uint32_t length;
  };
  std::string key, digest;              // of all its bytes
  std::map<std::string, Place> places;  // by the first 16 bytes of a piece's digest
};
std::string to_bytes(const KeptPieces& pieces);
std::optional<KeptPieces> kept_from_bytes(std::string_view bytes);

// Where the next piece of `bytes` ends: between 4 and 64 KB, 16 KB on the average. 0: more bytes are needed. `last`:
// there are none.
size_t piece_of(std::string_view bytes, bool last);

constexpr uint64_t kMostKept = 2ull << 30;  // bytes of one delivery that the far side keeps

// The near side's. `name`: under which the far side keeps it (hexadecimal digits; empty: it does not). `before`: what
// it has, as far as is known.
class DeltaWriter {
 public:
  DeltaWriter(Sink sink, std::string name, std::optional<KeptPieces> before, uint64_t most_kept = kMostKept);

  Result<> begin(const std::string& to);
  Result<> data(std::string_view bytes);
  Result<> end_archive();
  // What the far side has once it has taken everything. Null: what it had, since this is more than it keeps.
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

// The far side's: reads the wire from a descriptor and writes the delivery. Code::conflict: what is kept here (in
// `directory`) is not what the near side thinks, and nothing was written. Keeping is no promise: where the disk is
// full, the delivery goes on without.
Result<> apply_delta(int from, const std::string& directory, const std::function<Result<DeliveryWriter>()>& begin);

}  // namespace bottle::session
