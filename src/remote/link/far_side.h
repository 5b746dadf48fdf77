// The near side's way to a bottle on another machine: the connections, the program there, the channel to a session.
//
// All that comes over it is hostile: the agent may have taken that machine. It is bounded, parsed strictly and cleaned
// (wire/codec, far_message.h) before a person sees it; nothing that it says decides what is done here.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>

#include "base/error.h"
#include "base/os/process.h"
#include "base/stream.h"
#include "base/unique_fd.h"
#include "ssh/connection.h"
#include "wire/hello.h"
#include "wire/job.h"

namespace bottle::remote {

using session::Far, session::Sink, session::Source;

// A running `bottle far serve`.
struct Channel {
  UniqueFd in, out;                       // what we write; what we read
  std::optional<Child> ssh{};             // that carries it: detached, so it lives on where the channel is handed on
  std::optional<wire::Hello> hello = {};  // nothing: it is still to be read, one line, before anything else
};
constexpr size_t kLongestHello = wire::Hello::kMost;

class FarSide {
 public:
  // Connects (or finds the connection that is there). Blocking. `progress`: what takes long.
  static Result<FarSide> reach(const Far& far, bool interactive, std::function<void(const std::string&)> progress = {});

  // Starts `bottle far serve` and takes its hello; the program is sent first where it is missing. Code::invalid: the
  // machine is of another kind.
  // `send_env`: variables that ssh is to send along; the far side may refuse them without a word.
  // `await_engine`: the hello comes once the engine there answers; minutes, on a machine that boots.
  Result<Channel> serve(const std::map<std::string, std::string>& send_env = {}, bool await_engine = false);
  // The same, not waited for: what is written to it waits for the program there, if it is there.
  Result<Channel> begin_serve(const std::map<std::string, std::string>& send_env = {}, bool await_engine = false);

  // `bottle far WORDS` over the connection for bulk, which is made at its first use.
  Result<Captured> ask(const std::vector<std::string>& words, int timeout_ms = 60000);
  // The same with bytes streamed in; its answer must be "ok" (Code::conflict: it is "again"). `stop` ends it where it
  // is.
  Result<> send(const std::vector<std::string>& words, const std::function<Result<>(const Sink&)>& produce,
                std::stop_token stop = {});
  // The same with a delivery that comes back, bounded in bytes and time: Code::limit, Code::timed_out. `is_gone`:
  // nothing more will come.
  Result<> fetch(
      const std::vector<std::string>& words,
      const std::function<Result<>(const std::string& name, const Source& source)>& put,
      const std::function<bool()>& is_gone = [] { return false; });

  const ssh::Connection& connection() const { return main_; }
  // What the far side's sh runs for `bottle far WORDS`.
  std::string line_for(const std::vector<std::string>& words) const;
  Result<ssh::Connection> bulk();
  // After a network that changed under us: the connections are dead, whatever ssh believes.
  void drop();

 private:
  FarSide(Far far, ssh::Connection main) : far_(std::move(far)), main_(std::move(main)) {}
  Result<> ship_program(const std::string& machine);
  Far far_;
  ssh::Connection main_;
  std::function<void(const std::string&)> progress_;
};

// This program's own bytes, and their hash. Read once.
Result<std::string> own_program();
Result<std::string> own_hash();

}  // namespace bottle::remote
