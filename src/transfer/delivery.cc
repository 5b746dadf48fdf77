// Reads a delivery straight into the caller's buffer, so that the size of a workspace does not matter. The reader
// never reads ahead, because the bytes after an archive belong to the next reader.
//
// A sender may be a remote machine that an agent has taken over. Its bytes are counted, and its time is counted in
// two ways: the time that we wait for it, so that a slow disk on our side does not count against it, and the whole
// time, so that little data that causes much work ends, too. The least amount for each window ends a sender that
// sends a byte now and then.
#include "transfer/delivery.h"

#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/files/file.h"
#include "base/os/descriptors.h"
#include "base/os/poller.h"
#include "wire/delivery/delivery.h"

namespace bottle::transfer {
namespace {

constexpr size_t kLargestChunk = 1 << 20;
// Shorter runs of zeros are sent as they are.
constexpr size_t kShortestRun = 4096;
constexpr uint32_t kRun = 1u << 31;

std::string length_of_chunk(uint32_t size) {
  std::string head(4, '\0');
  for (int i = 0; i < 4; ++i) head[static_cast<size_t>(i)] = static_cast<char>(size >> (24 - 8 * i) & 255);
  return head;
}

bool is_zeros(std::string_view bytes) {
  return bytes[0] == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

std::unexpected<Error> fail_gone() { return fail(Code::canceled, "the session no longer waits for the delivery"); }

// Waits for input. Fails with Code::canceled once `is_gone` returns true, and with Code::timed_out and the text
// `otherwise` after `patience_ms`.
Result<> await_input(int fd, int patience_ms, const std::function<bool()>& is_gone, const char* otherwise) {
  // Waits in short steps, because no descriptor becomes readable when is_gone() becomes true.
  for (int waited = 0; waited < patience_ms; waited += 100) {
    if (wait_readable(fd, 100)) return {};
    if (is_gone()) return fail_gone();
  }
  return fail(Code::timed_out, std::string(otherwise) + " for " + std::to_string(patience_ms / 1000) + " s");
}

// Reads within all bounds, and never more than the caller asks for.
class Reader {
 public:
  Reader(int fd, int patience_ms, const std::function<bool()>& is_gone, const Bounds& bounds)
      : fd_(fd), patience_ms_(patience_ms), is_gone_(is_gone), bounds_(bounds) {}

  // Fills the buffer. Fails with Code::closed if the stream ends earlier.
  Result<> exactly(char* to, size_t size) {
    while (size > 0) {
      size_t n = TRY(some(to, size));
      if (n == 0) return fail(Code::closed, "the delivery stopped halfway");
      to += n;
      size -= n;
    }
    return {};
  }

  // Waits for bytes and returns how many it has read; 0 at the end of the stream. Counts them and the time against the
  // bounds.
  Result<size_t> some(char* to, size_t size) {
    // Only the wait is measured, not what the caller does with the bytes.
    auto began = Clock::now();
    // A sender that never pauses must not keep the caller from ending.
    if (began - asked_ > std::chrono::milliseconds(100)) {
      asked_ = began;
      if (is_gone_()) return fail_gone();
    }
    TRY(await_input(fd_, patience_ms_, is_gone_, "no more of the delivery arrived"));
    TRY(waited(Clock::now() - began));
    size_t count = TRY(read_some(fd_, {to, size}, "reading a delivery"));
    if (count > bounds_.most - total_)
      return fail(Code::limit, "the delivery has more than " + std::to_string(bounds_.most >> 20) + " MB");
    total_ += count;
    in_window_ += count;
    return count;
  }

  // Counts zeros that did not have to come, against a sender that is slow and for the limit of holes. Whoever takes
  // them may be slow as well.
  Result<> count_zeros(size_t count) {
    if (count > bounds_.most_zeros - zeros_)
      return fail(Code::limit,
                  "the delivery has holes of more than " + std::to_string(bounds_.most_zeros >> 20) + " MB");
    zeros_ += count;
    in_window_ += count;
    return waited({});
  }

  Result<std::string> line() {
    std::string text;
    for (char c; text.size() < wire::DeliveryHeader::kMost; text += c) {
      TRY(exactly(&c, 1));
      if (c == '\n') return text;
    }
    return fail(Code::protocol, "the delivery has no header");
  }

 private:
  using Clock = std::chrono::steady_clock;

  Result<> waited(Clock::duration time) {
    all_time_ += time;
    window_ += time;
    auto seconds = [](auto duration) {
      return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(duration).count()) + " s";
    };
    if (all_time_ > bounds_.longest)
      return fail(Code::timed_out, "the delivery has not ended after " + seconds(all_time_));
    if (auto whole = Clock::now() - began_; whole > bounds_.whole)
      return fail(Code::timed_out, "the delivery takes too much work: it has not ended after " + seconds(whole));
    // The rate is checked only when a whole window has passed, so that a short pause does not end a delivery.
    if (window_ < bounds_.window) return {};
    if (in_window_ < bounds_.least)
      return fail(Code::timed_out,
                  "the delivery comes too slowly: " + std::to_string(in_window_) + " bytes in " + seconds(window_));
    window_ = {};
    in_window_ = 0;
    return {};
  }

  int fd_, patience_ms_;
  const std::function<bool()>& is_gone_;
  const Bounds& bounds_;
  uint64_t total_ = 0, zeros_ = 0, in_window_ = 0;
  Clock::time_point began_ = Clock::now(), asked_ = began_;
  Clock::duration all_time_{}, window_{};
};

}  // namespace

Result<> DeliveryWriter::begin(const std::string& to) {
  return sink_(TRY(wire::encode_exactly(wire::DeliveryHeader{.to = to})) + "\n");
}

Result<> DeliveryWriter::data(std::string_view bytes) {
  size_t begin = 0;  // of what is neither sent nor counted as zeros
  for (size_t at = 0; at < bytes.size();) {
    std::string_view block = bytes.substr(at, kShortestRun);
    bool run = block.size() == kShortestRun && is_zeros(block);
    if (run) {
      TRY(chunk(bytes.substr(begin, at - begin)));
      begin = at + block.size();
      zeros_ += static_cast<uint32_t>(block.size());
      if (zeros_ >= kLargestChunk) TRY(end_zeros());
    }
    at += block.size();
  }
  return chunk(bytes.substr(begin));
}

Result<> DeliveryWriter::chunk(std::string_view bytes) {
  if (!bytes.empty()) TRY(end_zeros());
  for (; !bytes.empty(); bytes.remove_prefix(std::min(bytes.size(), kLargestChunk))) {
    std::string_view part = bytes.substr(0, kLargestChunk);
    // The length is written separately, so that the chunk need not be copied. The sink may collect both.
    TRY(sink_(length_of_chunk(static_cast<uint32_t>(part.size()))));
    TRY(sink_(part));
  }
  return {};
}

Result<> DeliveryWriter::end_zeros() {
  if (uint32_t zeros = std::exchange(zeros_, 0)) return sink_(length_of_chunk(kRun | zeros));
  return {};
}

Result<> DeliveryWriter::end_archive() {
  TRY(end_zeros());
  return sink_(length_of_chunk(0));
}

Result<> DeliveryWriter::finish() { return sink_(wire::encode(wire::DeliveryHeader{}) + "\n"); }

Result<> read_delivery(int fd, const std::function<Result<>(const std::string&, const Source&)>& put, int patience_ms,
                       const std::function<bool()>& is_gone, const Bounds& bounds) {
  Reader reader(fd, patience_ms, is_gone, bounds);
  for (;;) {
    auto header = TRY(wire::decode<wire::DeliveryHeader>(TRY(reader.line()), wire::From::foreign));
    if (header.is_end()) return {};
    size_t left = 0;  // bytes of the current chunk
    bool ended = false, zeros = false;
    // The caller reads the archive through this, chunk by chunk, and does not see where chunks end.
    Source source = [&](char* buffer, size_t size) -> Result<size_t> {
      if (ended) return size_t{0};
      if (left == 0) {
        unsigned char head[4];
        TRY(reader.exactly(reinterpret_cast<char*>(head), 4));
        left = static_cast<size_t>(head[0]) << 24 | static_cast<size_t>(head[1]) << 16 |
               static_cast<size_t>(head[2]) << 8 | head[3];
        zeros = (left & kRun) != 0;
        left &= kRun - 1;
        if (zeros) TRY(reader.count_zeros(left));
        // A large length would do no harm, because chunks are not kept. But it shows that the stream is not a
        // delivery.
        if (left > kLargestChunk || (zeros && left == 0))
          return fail(Code::protocol, "a chunk of the delivery has a wrong length");
        if (left == 0) {
          ended = true;
          return size_t{0};
        }
      }
      if (zeros) {
        size_t n = std::min(size, left);
        std::memset(buffer, 0, n);
        left -= n;
        return n;
      }
      // Never reads beyond the chunk, because the next bytes are the next length.
      size_t n = TRY(reader.some(buffer, std::min(size, left)));
      if (n == 0) return fail(Code::closed, "the delivery stopped halfway");
      left -= n;
      return n;
    };
    TRY(put(*header.to, source));
    // An engine may answer at the end mark of the archive, before it has read the bytes that follow.
    for (char rest[4096]; TRY(source(rest, sizeof rest)) > 0;) {
    }
  }
}

Result<DeliveryPoint> DeliveryPoint::listen(const std::string& path) { return DeliveryPoint(TRY(listen_at(path, 1))); }

Result<> DeliveryPoint::receive(const std::function<Result<>(const std::string&, const Source&)>& put, int patience_ms,
                                const std::function<bool()>& is_gone) {
  // The socket has mode 0600, so only programs of this user can connect.
  TRY(await_input(listener_.get(), patience_ms, is_gone, "no workspace arrived"));
  UniqueFd fd = accept_connection(listener_.get());
  if (!fd) return fail_errno("accepting a delivery");
  TRY(read_delivery(fd.get(), put, patience_ms, is_gone));
  // The sender waits for this byte, which says that everything has arrived.
  if (::send(fd.get(), "ok\n", 3, MSG_NOSIGNAL) != 3) return fail_errno("acknowledging a delivery");
  return {};
}

}  // namespace bottle::transfer
