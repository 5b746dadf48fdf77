// Cuts the stream into pieces where a rolling hash of the last 64 bytes has certain bits, so that the same content is
// cut in the same places wherever it moves. The writer sends each piece as a reference, deflated or plain. The reader
// puts the delivery together again, passes it on, and keeps all of it, sealed, for the next time.
//
// Both sides number the same bytes, so the near side needs no answer to know what the far side has. It may be wrong,
// because a file was lost or a session was killed. The far side therefore compares the digest of everything that it
// kept before it uses any of it; on a difference, the near side sends everything. Keeping a delivery is only an
// optimization, so its failures never end a delivery.
#include "transfer/delta.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <vector>

#include "base/files/entries.h"
#include "base/files/file.h"
#include "base/ids.h"
#include "base/lock/file_lock.h"
#include "wire/delivery/delivery.h"

namespace bottle::transfer {
namespace {

// The sizes are in bytes. For short pieces, the references cost more than they save, and a long piece must be sent
// again for a small change.
constexpr size_t kShortest = 4 << 10, kLongest = 64 << 10, kName = 16, kLongestLine = 4096;
// High bits depend on more of the bytes before the cut than low ones.
constexpr uint64_t kCut = 0x3fffull << 40;  // 14 bits, which makes 16 KB on average
constexpr uint64_t kSpare = 2ull << 30;     // bytes of disk that we leave free
constexpr auto kOldest = std::chrono::hours(24 * 30);
constexpr size_t kMostDeliveries = 16;

// Returns a fixed table of random numbers (splitmix64). Any other random numbers would serve as well.
const std::array<uint64_t, 256>& gear() {
  static const auto table = [] {
    std::array<uint64_t, 256> numbers{};
    uint64_t state = 1;
    for (auto& number : numbers) {
      uint64_t z = state += 0x9e3779b97f4a7c15ull;
      z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
      z = (z ^ z >> 27) * 0x94d049bb133111ebull;
      number = z ^ z >> 31;
    }
    return numbers;
  }();
  return table;
}

std::string number(uint64_t value, int bytes) {
  std::string out;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 255);
  return out;
}

uint64_t number_of(std::string_view bytes) {
  uint64_t value = 0;
  for (unsigned char c : bytes) value = value << 8 | c;
  return value;
}

// Reads through a buffer, because most operations have only a few bytes.
class Input {
 public:
  explicit Input(int fd) : fd_(fd) {}

  // Returns the next `size` bytes. Fails with Code::closed if the stream ends earlier.
  Result<std::string> exactly(size_t size) {
    while (buffer_.size() - at_ < size) {
      buffer_.erase(0, std::exchange(at_, 0));
      char more[128 << 10];
      size_t n = TRY(read_some(fd_, more, "reading the delivery"));
      if (n == 0) return fail(Code::closed, "the delivery stopped halfway");
      buffer_.append(more, n);
    }
    return buffer_.substr(std::exchange(at_, at_ + size), size);
  }
  Result<uint64_t> count(int bytes) { return number_of(TRY(exactly(static_cast<size_t>(bytes)))); }
  Result<std::string> line() {
    std::string text;
    for (;;) {
      std::string c = TRY(exactly(1));
      if (c == "\n") return text;
      if ((text += c).size() > kLongestLine) return fail(Code::protocol, "the delivery has no header");
    }
  }

 private:
  int fd_;
  std::string buffer_;
  size_t at_ = 0;
};

// Reads the kept bytes of the last delivery. It checks all of them before any is used.
class Kept {
 public:
  static Result<Kept> open(const std::string& path, const std::string& key, const std::string& digest) {
    Kept kept;
    kept.key_ = key;
    kept.fd_.reset(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!kept.fd_) return fail(Code::conflict, "no earlier delivery is kept");
    struct stat st{};
    if (::fstat(kept.fd_.get(), &st) != 0) return fail_errno("looking at " + path);
    pki::Digest all;
    // Decrypts as it reads, because the digest is that of the plain bytes.
    for (uint64_t at = 0, size = static_cast<uint64_t>(st.st_size); at < size;) {
      std::string part = TRY(kept.read(at, std::min<uint64_t>(1 << 20, size - at)));
      all.feed(part);
      at += part.size();
    }
    if (all.finish() != digest) return fail(Code::conflict, "the kept delivery is a different one");
    return kept;
  }

  Result<std::string> read(uint64_t offset, size_t size) const {
    std::string bytes(size, '\0');
    for (size_t have = 0; have < size;) {
      ssize_t n = ::pread(fd_.get(), bytes.data() + have, size - have, static_cast<off_t>(offset + have));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return fail(Code::conflict, "the kept delivery is too short");
      have += static_cast<size_t>(n);
    }
    // The same operation encrypts and decrypts, at any position.
    TRY(pki::seal(key_, offset, bytes.data(), bytes.size()));
    return bytes;
  }

 private:
  UniqueFd fd_;
  std::string key_;
};

constexpr const char* kPart = ".part-";

// Keeps the current delivery for the next one. Writes it to a temporary file, which stays locked until it is complete
// and is then renamed. Failures are not errors.
class Keeping {
 public:
  Keeping(const std::string& directory, const std::string& name, std::string key)
      : path_(directory + "/" + name), key_(std::move(key)) {
    struct statvfs disk{};
    if (name.empty()) return;
    if (!make_directories(directory) || ::statvfs(directory.c_str(), &disk) != 0 ||
        static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize < kSpare)
      return;
    part_ = path_ + kPart + std::to_string(::getpid());
    fd_.reset(::open(part_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    // The lock shows remove_broken() that this process lives. If another process removes the file before it is locked,
    // the rename in finish() fails, and the delivery is not kept.
    if (fd_) ::flock(fd_.get(), LOCK_EX | LOCK_NB);
  }
  ~Keeping() { discard(); }

  void add(std::string bytes) {
    if (!fd_) return;
    size_t size = bytes.size();
    // A part of a delivery would be of no use, because its digest would not match.
    if (position_ + size > kMostKept || !pki::seal(key_, position_, bytes.data(), size) || !write_all(fd_.get(), bytes))
      return discard();
    position_ += size;
  }
  void finish() {
    if (fd_ && ::rename(part_.c_str(), path_.c_str()) == 0) fd_.reset();
  }

 private:
  void discard() {
    if (fd_) ::unlink(part_.c_str());
    fd_.reset();
  }
  std::string path_, part_, key_;
  UniqueFd fd_;
  uint64_t position_ = 0;
};

namespace fs = std::filesystem;

// Removes the temporary files of writers that were killed, which are those whose locks are free.
void remove_broken(const std::string& directory) {
  std::error_code ignored;
  for (const auto& name : names_in(directory).value_or(std::vector<std::string>())) {
    if (name.find(kPart) == std::string::npos) continue;
    std::string path = directory + "/" + name;
    // A lock ends with its process, however that ended.
    if (FileLock::try_take(path, {O_RDWR | O_NONBLOCK})) fs::remove(path, ignored);
  }
}

// Removes kept deliveries that are too old or too many.
void remove_old(const std::string& directory) {
  std::error_code ignored;
  std::vector<std::pair<fs::file_time_type, fs::path>> found;
  for (const auto& name : names_in(directory).value_or(std::vector<std::string>()))
    found.emplace_back(fs::last_write_time(directory + "/" + name, ignored), directory + "/" + name);
  std::ranges::sort(found, std::greater());
  // The list is sorted from new to old, so the oldest ones beyond the limit are removed.
  for (size_t i = 0; i < found.size(); ++i)
    if (i >= kMostDeliveries || fs::file_time_type::clock::now() - found[i].first > kOldest)
      fs::remove(found[i].second, ignored);
}

// Decompresses a piece whose decompressed size was announced.
Result<std::string> inflated(const std::string& packed, size_t size) {
  std::string out(size, '\0');
  uLongf length = size;
  // The output has exactly the size that was announced, so no input can make it larger.
  if (::uncompress(reinterpret_cast<Bytef*>(out.data()), &length, reinterpret_cast<const Bytef*>(packed.data()),
                   packed.size()) != Z_OK ||
      length != size)
    return fail(Code::protocol, "a piece of the delivery cannot be unpacked");
  return out;
}

}  // namespace

std::string to_bytes(const KeptPieces& pieces) {
  std::string out = pieces.key + pieces.digest;
  for (const auto& [name, place] : pieces.places) out += name + number(place.offset, 8) + number(place.length, 4);
  return out;
}

std::optional<KeptPieces> kept_from_bytes(std::string_view bytes) {
  constexpr size_t kHead = pki::kSealKey + pki::kDigest, kEntry = kName + 12;
  if (bytes.size() < kHead || (bytes.size() - kHead) % kEntry) return std::nullopt;
  KeptPieces pieces{
      std::string(bytes.substr(0, pki::kSealKey)), std::string(bytes.substr(pki::kSealKey, pki::kDigest)), {}};
  for (size_t at = kHead; at < bytes.size(); at += kEntry)
    pieces.places[std::string(bytes.substr(at, kName))] = {
        number_of(bytes.substr(at + kName, 8)), static_cast<uint32_t>(number_of(bytes.substr(at + kName + 8, 4)))};
  return pieces;
}

size_t piece_of(std::string_view bytes, bool last) {
  uint64_t hash = 0;
  size_t end = std::min(bytes.size(), kLongest);
  // Bytes more than 64 back have been shifted out, so the cut depends only on the bytes just before it.
  for (size_t i = kShortest > 64 ? kShortest - 64 : 0; i < end; ++i) {
    hash = (hash << 1) + gear()[static_cast<unsigned char>(bytes[i])];
    if (i >= kShortest && !(hash & kCut)) return i + 1;
  }
  return end == kLongest || last ? end : 0;
}

DeltaWriter::DeltaWriter(Sink sink, std::string name, std::optional<KeptPieces> before, uint64_t most_kept)
    : sink_(std::move(sink)), name_(std::move(name)), before_(std::move(before)), most_kept_(most_kept) {
  now_.key = pki::new_seal_key();
}

Result<> DeltaWriter::put(std::string_view bytes, bool flush) {
  if (!std::exchange(begun_, true)) {
    // The header goes out with the first operation, so a delivery that fails before it has sent anything sends nothing.
    wire::PiecesHeader head;
    if (!name_.empty()) head.keep = {name_, to_hex(now_.key)};
    if (before_) head.reuse = {to_hex(before_->key), to_hex(before_->digest)};
    out_ = wire::encode(head) + "\n";
  }
  out_ += bytes;
  // Collects operations, so that there are few large writes.
  if (!flush && out_.size() < (256 << 10)) return {};
  return sink_(std::exchange(out_, {}));
}

Result<> DeltaWriter::begin(const std::string& to) { return put("b" + number(to.size(), 4) + to); }

Result<> DeltaWriter::piece(std::string_view bytes) {
  // The digest covers everything that the far side keeps, referenced pieces too.
  all_.feed(bytes);
  // 16 bytes of SHA-256 are enough to tell pieces apart. A collision could only exchange two pieces of the same
  // workspace.
  std::string name = pki::digest(bytes).substr(0, kName);
  if (position_ <= most_kept_) now_.places.try_emplace(name, position_, static_cast<uint32_t>(bytes.size()));
  position_ += bytes.size();
  if (before_)
    if (auto known = before_->places.find(name); known != before_->places.end())
      return put("c" + number(known->second.offset, 8) + number(known->second.length, 4));
  std::string packed(::compressBound(bytes.size()), '\0');
  uLongf size = packed.size();
  // Compresses, because an uplink is slower than a core.
  if (::compress2(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(bytes.data()),
                  bytes.size(), 1) == Z_OK &&
      size < bytes.size())
    return put("z" + number(bytes.size(), 4) + number(size, 4) + packed.substr(0, size));
  return put("d" + number(bytes.size(), 4) + std::string(bytes));
}

Result<> DeltaWriter::pieces(bool last) {
  std::string_view rest = pending_;
  // The rest is shorter than the longest piece, and waits for more bytes.
  for (size_t n; !rest.empty() && (n = piece_of(rest, last)) > 0; rest.remove_prefix(n)) TRY(piece(rest.substr(0, n)));
  pending_.erase(0, pending_.size() - rest.size());
  return {};
}

Result<> DeltaWriter::data(std::string_view bytes) {
  pending_ += bytes;
  return pieces(false);
}

Result<> DeltaWriter::end_archive() {
  TRY(pieces(true));
  return put("e");
}

Result<std::optional<KeptPieces>> DeltaWriter::finish() {
  TRY(put("f", true));
  if (position_ > most_kept_) return std::nullopt;
  now_.digest = all_.finish();
  return std::move(now_);
}

Result<> apply_delta(int from, const std::string& directory, const std::function<Result<DeliveryWriter>()>& begin) {
  Input input(from);
  auto head = wire::decode<wire::PiecesHeader>(TRY(input.line()), wire::From::ours);
  if (!head) return fail(Code::protocol, std::move(head.error().what));
  auto keep = head->keep.value_or(wire::KeepDelivery());
  // The name becomes a file's name.
  if (keep.name.find_first_not_of("0123456789abcdef") != std::string::npos)
    return fail(Code::protocol, "the delivery's name is not hexadecimal");
  remove_broken(directory);
  std::optional<Kept> kept;
  if (const auto& reuse = head->reuse)
    // This comes before begin(), so nothing has reached the session when the near side starts again without references.
    kept = TRY(Kept::open(directory + "/" + keep.name, TRY(from_hex(reuse->key)), TRY(from_hex(reuse->digest))));
  // The old file is still open in `kept` and is replaced only at the end.
  Keeping keeping(directory, keep.name, TRY(from_hex(keep.seal)));
  DeliveryWriter writer = TRY(begin());
  // Whatever form a piece came in, it is passed on and kept in the same way.
  auto data = [&](std::string bytes) -> Result<> {
    TRY(writer.data(bytes));
    keeping.add(std::move(bytes));
    return {};
  };
  for (;;) {
    char operation = TRY(input.exactly(1))[0];
    if (operation == 'f') break;
    if (operation == 'e') {
      TRY(writer.end_archive());
      continue;
    }
    // All other operations begin with a length; a copy has an offset before it.
    uint64_t offset = operation == 'c' ? TRY(input.count(8)) : 0, size = TRY(input.count(4));
    // A piece is never longer, and the name of an archive is much shorter.
    if (size > kLongest) return fail(Code::protocol, "a piece of the delivery is too large");
    if (operation == 'b') {
      TRY(writer.begin(TRY(input.exactly(size))));
    } else if (operation == 'd') {
      TRY(data(TRY(input.exactly(size))));
    } else if (operation == 'z') {
      uint64_t packed = TRY(input.count(4));
      if (packed > kLongest) return fail(Code::protocol, "a piece of the delivery is too large");
      TRY(data(TRY(inflated(TRY(input.exactly(packed)), size))));
    } else if (operation == 'c' && kept) {
      TRY(data(TRY(kept->read(offset, size))));
    } else {
      return fail(Code::protocol, "an unknown operation in the delivery");
    }
  }
  // The new delivery replaces the old one only after the session has everything. A delivery that breaks off leaves the
  // old one, which the near side still describes.
  TRY(writer.finish());
  keeping.finish();
  remove_old(directory);
  return {};
}

}  // namespace bottle::transfer
