// A dead connection may look alive for minutes, especially after a laptop has slept or changed networks. So the link
// pings the other side itself, and drops a connection that stays silent for 13 seconds. That is time for two pings
// and their answers, and less than ssh would wait. A slow connection that still takes what waits for it gets up to half
// a minute more, because an answer waits behind that. A broken connection is reported only when everything that came
// before has been read, because its last frames may say why.
//
// An attempt to reconnect runs in a thread, since ssh may wait long for an answer. The waits between attempts double
// up to 15 seconds, so that a short break ends quickly and a long one costs little.
#include "remote/link/far_link.h"

#include <unistd.h>

#include <algorithm>
#include <thread>

#include "base/future.h"
#include "base/os/system_facts.h"

namespace bottle::remote {

namespace {

using namespace std::chrono_literals;

constexpr auto kPing = 5s;      // interval of the pings
constexpr auto kDeaf = 30s;     // how long the other side may read nothing of what is sent
constexpr auto kSilence = 13s;  // the longest time without an answer
constexpr auto kSlow = 30s;     // how much longer an answer may take while the connection takes what waits
constexpr auto kSteady = 30s;   // after a connection that lasted this long, the first reconnect does not wait

// Connects to the machine, or where it is now according to `find`. `silent` says that nothing came over the last
// connection.
Result<std::pair<FarSide, Channel>> connect_again(const MachineAddress& address, bool silent,
                                                  const std::function<std::optional<MachineAddress>()>& find) {
  auto old = FarSide::reach(address);
  // ssh may believe that the old connection works, because it does not notice that the network changed. Sessions on the
  // same machine share it, so it is dropped only if it is dead.
  if (old) {
    if (!silent)
      if (auto channel = old->serve()) return std::pair(std::move(*old), std::move(*channel));
    old->drop_dead();
  }
  auto side = FarSide::reach(address);
  if (!side && find)
    if (auto now = find()) side = FarSide::reach(*now);
  if (!side) return std::unexpected(std::move(side.error()));
  Channel channel = TRY(side->serve());
  return std::pair(std::move(*side), std::move(channel));
}

}  // namespace

// On a slow connection, a ping waits behind what ssh and the kernel have taken.
bool is_dead(std::chrono::steady_clock::time_point heard, std::chrono::steady_clock::time_point moved,
             std::chrono::steady_clock::time_point now) {
  return now - std::max(heard, std::min(moved, heard + kSlow)) > kSilence;
}

// Takes the step from one state to the next. Without a connection, nothing is left of what was to be sent over it, and
// nothing of an incomplete frame that came over it.
void FarLink::note(LinkEvent event) {
  state_ = after(state_, event);
  if (may_send(state_)) return;
  outbox_ = session::Outbox();
  if (is_connected(state_)) return;
  channel_.reset();
  frames_ = FrameReader(kLongestFrame);
  greeting_.clear();
}

void FarLink::use(FarSide side, Channel channel, std::chrono::seconds patience) {
  side_ = std::move(side);
  channel_ = std::move(channel);
  since_ = heard_ = pinged_ = moved_ = Clock::now();
  patience_ = patience;
  note(LinkEvent::connected);
  if (channel_->hello) note(LinkEvent::hello_came);
}

// Drops the connection. read_news() reports it later.
void FarLink::lose(const std::string& why) {
  if (!is_up()) return;
  if (channel_->ssh) channel_->ssh->end(0);
  // If a machine accepts connections and drops them immediately, the long waits stay.
  if (Clock::now() - since_ > kSteady) attempts_ = 0;
  broken_ = why;
  note(LinkEvent::broke);
}

void FarLink::send(FrameType type, std::string_view bytes) {
  if (!may_send(state_)) return;
  if (outbox_.size() + bytes.size() > kMostKept && !outbox_.empty()) return give_up_sending();
  if (outbox_.empty()) read_ = Clock::now();
  outbox_.add(type, bytes);
  flush();
}

// Sends a ping ahead of everything that waits, because its answer must come in time.
void FarLink::ping() {
  if (!may_send(state_)) return;
  if (outbox_.empty()) read_ = Clock::now();
  outbox_.add_first(FrameType::ping, "");
  flush();
}

// Drops what is kept. If the other side has stopped reading, it may have sent the reason, so the link still reads for a
// while.
void FarLink::give_up_sending() {
  stopped_reading_at_ = Clock::now();
  note(LinkEvent::stopped_reading);
}

// Sends what the other side takes now.
void FarLink::flush() {
  if (outbox_.empty()) return;
  size_t before = outbox_.size();
  bool sent = outbox_.flush(channel_->in.get()).has_value();
  if (outbox_.size() < before) read_ = Clock::now();
  if (sent && Clock::now() - read_ < kDeaf) return;
  give_up_sending();
}

void FarLink::read(std::vector<News>& news) {
  char buffer[65536];
  ssize_t n = ::read(channel_->out.get(), buffer, sizeof buffer);
  if (n < 0 && errno == EINTR) return;
  if (n <= 0) return lose("the connection broke");
  heard_ = Clock::now();
  std::string_view bytes(buffer, static_cast<size_t>(n));
  if (awaits_hello(state_)) {
    size_t end = bytes.find('\n');
    greeting_ += bytes.substr(0, end);
    if (greeting_.size() > kLongestHello) return lose("the remote machine's greeting is too long");
    if (end == std::string_view::npos) return;
    note(LinkEvent::hello_came);
    auto greeting = wire::decode_greeting(std::exchange(greeting_, {}));
    auto* hello = greeting ? std::get_if<wire::Hello>(&*greeting) : nullptr;
    news.emplace_back(HelloRead{hello ? std::optional(std::move(*hello)) : std::nullopt});
    // Bytes that follow the hello in the same read belong to a frame.
    bytes.remove_prefix(end + 1);
  }
  frames_.feed(bytes);
  for (;;) {
    auto frame = frames_.next();
    if (frame) news.emplace_back(FrameCame{std::move(*frame)});
    else if (frame.error().code == Code::unavailable) return;
    // After a frame over the limit, the beginning of the next one cannot be found.
    else return lose("the remote machine sent invalid data");
  }
}

std::vector<FarLink::News> FarLink::read_news(bool readable) {
  std::vector<News> news;
  size_t waited = outbox_.size();
  flush();
  if (outbox_.size() < waited) moved_ = Clock::now();
  if (readable && is_up()) read(news);
  if (state_ == LinkState::deaf && Clock::now() - stopped_reading_at_ > read_on_) lose("the connection broke");
  if (awaits_hello(state_) && Clock::now() - heard_ > patience_) lose("the remote machine did not answer");
  // The loss is reported after the frames that were read above, so that a result that came last is still taken.
  if (state_ == LinkState::lost) {
    note(LinkEvent::loss_told);
    news.emplace_back(Lost{{Code::closed, broken_, ""}});
  }
  if (is_ready(attempt_)) take_attempt(news);
  return news;
}

void FarLink::take_attempt(std::vector<News>& news) {
  auto back = attempt_.get();
  if (back) {
    use(std::move(back->first), std::move(back->second));
    news.emplace_back(Back{});
  } else {
    note(LinkEvent::attempt_failed);
    news.emplace_back(Failed{std::move(back.error())});
  }
}

void FarLink::reconnect(const MachineAddress& address, std::function<std::optional<MachineAddress>()> find) {
  if (state_ != LinkState::down) return;
  note(LinkEvent::attempt_began);
  int wait_ms = attempts_ == 0 ? 0 : std::min(250 << std::min(attempts_, 6), 15000);
  ++attempts_;
  attempt_ = std::async(std::launch::async,
                        [address, wait_ms, silent = std::exchange(silent_, false), find = std::move(find)] {
                          std::this_thread::sleep_for(std::chrono::milliseconds(wait_ms));
                          return connect_again(address, silent, find);
                        });
}

void FarLink::keep_alive() {
  double now = boot_seconds();  // unlike the steady clock, it also counts the time in which this machine slept
  // A turn of the loop takes at most a quarter of a second, so a longer one means that this machine slept or was
  // stopped.
  bool slept = last_turn_ > 0 && now - last_turn_ > 10;
  last_turn_ = now;
  if (!is_up()) return;
  if (slept) {
    // The other end has closed this connection, or soon will. Ping immediately, and wait only briefly for the answer.
    heard_ = Clock::now() - kSilence + 3s;
    pinged_ = moved_ = {};
  }
  if (Clock::now() - pinged_ > kPing) {
    pinged_ = Clock::now();
    ping();
  }
  if (!is_dead(heard_, moved_, Clock::now())) return;
  // The master process of ssh may keep the dead connection, and the next attempt would wait a long time for an answer
  // over it.
  silent_ = true;
  lose("the remote machine does not answer");
}

}  // namespace bottle::remote
