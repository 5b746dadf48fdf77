// Runs the verb that the near side names. Errors go to stderr, except those of `serve` and `hello`, which the near side
// reads from the connection.
#include "remote/far/far.h"

#include <algorithm>
#include <cstdio>
#include <iterator>

#include "base/files/file.h"
#include "base/ids.h"
#include "base/text/line.h"
#include "base/text/parse.h"
#include "base/unique_fd.h"
#include "remote/far/session_id.h"
#include "remote/far/verbs.h"
#include "session/console/client.h"
#include "wire/frames/frames.h"
#include "wire/request.h"

namespace bottle::remote {

using session::ClientOptions, wire::FrameReader, wire::FrameType, wire::send_frame;

namespace {

// Asks the session to stop, and waits for its end. Succeeds if the session has ended, or if its supervisor is dead,
// because `fetch` ends an agent without a supervisor.
Result<> stop(const FarWorld& world, const SessionId& which) {
  auto supervisor = TRY(find_supervisor(world, which));
  if (!supervisor) return {};
  TRY(send_frame(supervisor->get(), FrameType::stop, ""));
  for (FrameReader reader;;) {
    auto frames = reader.read(supervisor->get());
    // The supervisor closes the socket when everything is over.
    if (!frames) return {};
    for (const auto& frame : *frames)
      if (frame.type == FrameType::result || frame.type == FrameType::failure) return {};
  }
}

// Connects the operator's terminal, which comes through mosh and not over a channel, like any other client.
Result<> attach(const FarWorld& world, const SessionId& which) {
  auto supervisor = TRY(find_supervisor(world, which));
  if (!supervisor) return fail(Code::not_found, "there is no session " + which.name + " with this id that runs");
  TRY(send_frame(supervisor->get(), FrameType::attach, wire::encode(wire::Attach{})));
  ClientOptions options;
  options.input = ClientOptions::Input::terminal;
  (void)TRY(session::follow(supervisor->get(), options));
  return {};
}

// The words after the verb. A word that is missing is empty.
struct Words {
  std::string first, second, third, fourth;
  SessionId session() const { return {first, second}; }
};

struct Verb {
  const char* name;
  bool needs_session;  // the first two words are a SessionId
  Result<> (*run)(const FarWorld& world, const Words& words);
};

constexpr Verb kVerbs[] = {
    {"layers", false, [](const FarWorld& world, const Words&) { return layers(world); }},
    {"load", false,
     [](const FarWorld& world, const Words& words) {
       return load(world,
                   {words.first, words.second, number_in<size_t>(words.third).value_or(0), words.fourth == "part"});
     }},
    {"warm", false, [](const FarWorld& world, const Words& words) { return warm(world, words.first == "offline"); }},
    {"attach", true, [](const FarWorld& world, const Words& words) { return attach(world, words.session()); }},
    {"deliver", true, [](const FarWorld& world, const Words& words) { return deliver(world, words.session()); }},
    {"fetch", true,
     [](const FarWorld& world, const Words& words) { return fetch(world, words.session(), words.third); }},
    {"checkpoint", true,
     [](const FarWorld& world, const Words& words) { return checkpoint(world, words.session(), words.third); }},
    {"forget", true,
     [](const FarWorld& world, const Words& words) { return forget(world, words.session(), words.third == "home"); }},
    {"stop", true, [](const FarWorld& world, const Words& words) { return stop(world, words.session()); }},
};

Result<> run(const FarWorld& world, const std::string& name, const Words& words) {
  const auto* verb = std::ranges::find(kVerbs, name, &Verb::name);
  if (verb == std::end(kVerbs)) return fail(Code::invalid, "unknown verb " + name);
  // The name becomes a part of paths.
  if (verb->needs_session && !is_session_name(words.first))
    return fail(Code::invalid, "the session's name is not valid");
  return verb->run(world, words);
}

}  // namespace

std::string with_advice(const Error& why) { return why.what + (why.todo.empty() ? "" : " (" + why.todo + ")"); }

std::string refusal(const Error& why) { return wire::encode(wire::Refused{why.what, why.todo}); }

void far_refuse(const Error& why, const std::vector<std::string>& words) {
  if (!words.empty() && words[0] == "serve") (void)write_all(1, refusal(why) + "\n");
}

int far_main(const FarWorld& world, const std::vector<std::string>& words) {
  auto word = [&](size_t i) { return i < words.size() ? words[i] : std::string(); };
  std::string verb = word(0);
  if (verb == "serve") return serve(world);
  if (verb == "hello") {
    auto hello = far_hello(world, ask_info(world));
    return write_all(1, (hello ? wire::encode(*hello) : refusal(hello.error())) + "\n") && hello ? 0 : 1;
  }
  auto done = run(world, verb, {word(1), word(2), word(3), word(4)});
  if (done) return 0;
  std::fprintf(stderr, "%s\n", one_line(with_advice(done.error())).c_str());
  return 1;
}

}  // namespace bottle::remote
