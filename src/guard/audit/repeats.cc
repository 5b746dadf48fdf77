// Lines with the same action, kind, code, host and port belong to one kind. An allowance, which grows with time, says
// how many lines may be written; when it is used up, further lines of a kind become a count. Each kind writes its
// count after a pause that doubles from a second to a minute, so that even 256 kinds cause only a few lines a second.
// When a pause passes without such a line, the kind is written line by line again.
//
// An agent can make up any number of hosts. Kinds beyond the table's size therefore share an entry, in which only the
// number of decisions is exact and the hosts are not named.
#include "guard/audit/repeats.h"

#include <algorithm>

namespace bottle::guard {
namespace {

constexpr int64_t kFirstPause = 1000, kLongestPause = 60 * 1000;
constexpr std::string_view kOthers = "(others)";

}  // namespace

bool Repeats::spend(int64_t now) {
  allowance_ = std::min(int64_t{kAtOnce} * 1000, allowance_ + (now - spent_at_) * kASecond);
  spent_at_ = now;
  if (allowance_ < 1000) return false;
  allowance_ -= 1000;
  return true;
}

// Names that do not fit into the table share one entry for each action, kind and code, of which there are few.
Repeats::Flood& Repeats::flood_of(const AuditLine& line, int64_t now, bool& fresh) {
  auto key = [&](std::string_view host, uint16_t port) {
    std::string text;
    for (auto part : {word_of(line.action), word_of(line.kind), line.code, host}) text.append(part).append("\n");
    return text + std::to_string(port);
  };
  std::string own = key(line.host, line.port);
  auto found = floods_.find(own);
  bool others = found == floods_.end() && floods_.size() >= kMostFloods;
  if (others) found = floods_.find(own = key(kOthers, 0));
  fresh = found == floods_.end();
  if (!fresh) return found->second;
  Flood flood{.id = std::string(line.id),
              .action = line.action,
              .kind = line.kind,
              .host = std::string(others ? kOthers : line.host),
              .code = std::string(line.code),
              .reason = others ? "more hosts than can be recorded one by one" : std::string(line.reason),
              .lacks = others ? std::nullopt : line.lacks,
              .port = others ? uint16_t{0} : line.port,
              .pause = kFirstPause,
              .next = now + kFirstPause};
  fresh = !others;  // its first line would name only one host
  if (next_ < 0) next_ = flood.next;
  return floods_[own] = std::move(flood);
}

bool Repeats::admit(const AuditLine& line, std::string_view stamp, int64_t now, bool room) {
  bool fresh = false;
  Flood& flood = flood_of(line, now, fresh);
  // The first line of a kind is written even without allowance: the operator must see each kind once, and the table
  // bounds how many there are.
  if (!flood.counting && room && (spend(now) || fresh)) return true;
  if (!flood.counting) {
    flood.counting = true;
    flood.pause = kFirstPause;
    flood.next = now + kFirstPause;
    next_ = next_ < 0 ? flood.next : std::min(next_, flood.next);
  }
  // The line of a count shows the id of its first decision.
  if (flood.count++ == 0) {
    flood.first = stamp;
    flood.id = line.id;
  }
  flood.last = stamp;
  return false;
}

int Repeats::due(int64_t now, const Write& write, bool all) {
  if (next_ < 0 || (next_ > now && !all)) return next_ < 0 ? -1 : static_cast<int>(next_ - now);
  next_ = -1;
  for (auto each = floods_.begin(); each != floods_.end();) {
    Flood& flood = each->second;
    if (all || flood.next <= now) {
      // The entry stays for a while. Otherwise, an agent that uses many names in turn would get a line each time.
      if (flood.count == 0 && flood.pause == kLongestPause) {
        each = floods_.erase(each);
        continue;
      }
      // A pause without such a line ends the counting.
      flood.counting = flood.count > 0;
      if (flood.count)
        write({.id = flood.id,
               .action = flood.action,
               .kind = flood.kind,
               .host = flood.host,
               .port = flood.port,
               .code = flood.code,
               .reason = flood.reason,
               .lacks = flood.lacks,
               .count = flood.count,
               .first = flood.first,
               .time = flood.last});
      flood.count = 0;
      flood.pause = std::min(flood.pause * 2, kLongestPause);
      flood.next = now + flood.pause;
    }
    next_ = next_ < 0 ? flood.next : std::min(next_, flood.next);
    ++each;
  }
  return next_ < 0 ? -1 : static_cast<int>(std::max<int64_t>(next_ - now, 0));
}

}  // namespace bottle::guard
