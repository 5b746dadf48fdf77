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
Repeats::Kind& Repeats::kind_of(const AuditLine& line, int64_t now, bool& fresh) {
  auto key = [&](std::string_view host, int port) {
    std::string text;
    for (auto part : {line.action, line.kind, line.code, host}) text.append(part).append("\n");
    return text + std::to_string(port);
  };
  std::string own = key(line.host, line.port);
  auto found = kinds_.find(own);
  bool others = found == kinds_.end() && kinds_.size() >= kMostKinds;
  if (others) found = kinds_.find(own = key(kOthers, 0));
  fresh = found == kinds_.end();
  if (!fresh) return found->second;
  Kind kind{.id = std::string(line.id),
            .action = std::string(line.action),
            .kind = std::string(line.kind),
            .host = std::string(others ? kOthers : line.host),
            .code = std::string(line.code),
            .reason = others ? "more hosts than can be recorded one by one" : std::string(line.reason),
            .port = others ? 0 : line.port,
            .pause = kFirstPause,
            .next = now + kFirstPause};
  fresh = !others;  // its first line would name only one host
  if (next_ < 0) next_ = kind.next;
  return kinds_[own] = std::move(kind);
}

bool Repeats::admit(const AuditLine& line, std::string_view stamp, int64_t now, bool room) {
  bool fresh = false;
  Kind& kind = kind_of(line, now, fresh);
  // The first line of a kind is written even without allowance: the operator must see each kind once, and the table
  // bounds how many there are.
  if (!kind.counting && room && (spend(now) || fresh)) return true;
  if (!kind.counting) {
    kind.counting = true;
    kind.pause = kFirstPause;
    kind.next = now + kFirstPause;
    next_ = next_ < 0 ? kind.next : std::min(next_, kind.next);
  }
  // The line of a count shows the id of its first decision.
  if (kind.count++ == 0) {
    kind.first = stamp;
    kind.id = line.id;
  }
  kind.last = stamp;
  return false;
}

int Repeats::due(int64_t now, const Write& write, bool all) {
  if (next_ < 0 || (next_ > now && !all)) return next_ < 0 ? -1 : static_cast<int>(next_ - now);
  next_ = -1;
  for (auto each = kinds_.begin(); each != kinds_.end();) {
    Kind& kind = each->second;
    if (all || kind.next <= now) {
      // The entry stays for a while. Otherwise, an agent that uses many names in turn would get a line each time.
      if (kind.count == 0 && kind.pause == kLongestPause) {
        each = kinds_.erase(each);
        continue;
      }
      // A pause without such a line ends the counting.
      kind.counting = kind.count > 0;
      if (kind.count)
        write({.id = kind.id,
               .action = kind.action,
               .kind = kind.kind,
               .host = kind.host,
               .port = kind.port,
               .code = kind.code,
               .reason = kind.reason,
               .count = kind.count,
               .first = kind.first,
               .time = kind.last});
      kind.count = 0;
      kind.pause = std::min(kind.pause * 2, kLongestPause);
      kind.next = now + kind.pause;
    }
    next_ = next_ < 0 ? kind.next : std::min(next_, kind.next);
    ++each;
  }
  return next_ < 0 ? -1 : static_cast<int>(std::max<int64_t>(next_ - now, 0));
}

}  // namespace bottle::guard
