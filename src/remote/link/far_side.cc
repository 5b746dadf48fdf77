// Runs `bottle far …` on the other machine. The program there is a copy of this one, stored under a hash of its
// content. So both ends always use the same protocol, even after an upgrade of one machine. If the other machine
// lacks the program with this hash, the shell line says so in JSON, and the program is sent once.
//
// Each transfer is a separate command that ends with its ssh process, so a broken connection leaves nothing half done
// that a later command would have to handle.
#include "remote/link/far_side.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>
#include <zlib.h>

#include <chrono>
#include <mutex>

#include "base/defer.h"
#include "base/files/file.h"
#include "base/ids.h"
#include "base/os/poller.h"
#include "base/os/this_program.h"
#include "base/text/line.h"
#include "session/images/programs.h"
#include "transfer/delivery.h"
#include "workspace/workspace.h"

namespace bottle::remote {

using transfer::Bounds, transfer::read_delivery;

namespace {

// The size limit is that of the workspace plus room for the rest of a delivery. The rate must be at least 4 KB a
// second. The time is enough for 16 GB at 200 KB a second.
Bounds bounds_of_fetch(uint64_t most) {
  return {.most = most + (1ull << 30),
          .least = 1200 << 10,
          .window = std::chrono::minutes(5),
          .longest = std::chrono::hours(24),
          .whole = std::chrono::hours(26)};
}

constexpr size_t kLargestProgram = 256u << 20;  // in bytes

// Compresses in the format of gzip(1), which the other machine's shell line unpacks.
Result<std::string> gzipped(const std::string& bytes) {
  z_stream z{};
  if (::deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    return fail(Code::internal, "starting to compress");
  std::string out(::deflateBound(&z, bytes.size()), '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  // kLargestProgram keeps the size within the 32 bits of zlib's counters.
  z.avail_in = static_cast<uInt>(bytes.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  int done = ::deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  ::deflateEnd(&z);
  if (done != Z_STREAM_END) return fail(Code::internal, "compressing");
  return out;
}

constexpr int kLookForStopMs = 100;

// Reads the first line, and whatever comes with it. Reading exactly one line would take one read per byte. This is
// not needed, because nothing follows a hello until the near side has sent something.
Result<std::string> read_line(int fd, int timeout_ms, const std::stop_token& stop) {
  auto deadline = Deadline::in_ms(timeout_ms);
  std::string text;
  while (text.find('\n') == std::string::npos) {
    // Waits in short steps, because no descriptor becomes readable on a stop.
    bool ready = !deadline.is_over() && wait_readable(fd, deadline.ms_left(kLookForStopMs));
    if (stop.stop_requested()) return fail(Code::canceled, "the question to the remote machine was canceled");
    if (!ready && !deadline.is_over()) continue;
    if (!ready)
      return fail(Code::timed_out,
                  "the remote machine did not answer within " + std::to_string(timeout_ms / 1000) + " s");
    char buffer[16384];
    ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail(Code::closed, "the connection closed before the remote machine answered");
    text.append(buffer, static_cast<size_t>(n));
    if (text.size() > kLongestHello) return fail(Code::limit, "the remote machine's answer is too long");
  }
  return text;
}

// Writes to a non-blocking descriptor. Fails with Code::canceled after a stop.
Result<> write_until(int fd, std::string_view bytes, const std::stop_token& stop) {
  while (!bytes.empty()) {
    if (stop.stop_requested()) return fail(Code::canceled, "the transfer was stopped");
    ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n > 0) bytes.remove_prefix(static_cast<size_t>(n));
    if (n >= 0 || errno == EINTR) continue;
    if (errno != EAGAIN) return fail_errno("writing");
    wait_writable(fd, kLookForStopMs);
  }
  return {};
}

// Reads at most 64 KB. After a stop or the deadline, no longer waits for the end: the master process of ssh keeps the
// pipe open until the remote program ends, which may never happen.
std::string read_to_end(int fd, const std::stop_token& stop, Deadline deadline = Deadline::never()) {
  std::string text;
  while (text.size() < 65536 && !stop.stop_requested() && !deadline.is_over()) {
    if (!wait_readable(fd, kLookForStopMs)) continue;
    char buffer[4096];
    ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    text.append(buffer, static_cast<size_t>(n));
  }
  return text;
}

std::string path_of_program(const std::string& directory, std::string_view architecture) {
  return directory + "/bottle-linux-" + std::string(architecture);
}

// Remembers the hashes of the programs for other architectures. A process goes on with the one that it has used, as it
// does with its own program, if an upgrade replaces the files.
class OtherPrograms {
 public:
  // Returns the hash of the file, or an empty string if it cannot be used; sending it then fails and says why.
  std::string hash(const std::string& path) {
    std::scoped_lock hold(lock_);
    auto found = hashes_.find(path);
    if (found != hashes_.end()) return found->second;
    auto program = session::read_program(path);
    return program ? hashes_[path] = content_hash(*program) : "";
  }
  void set(const std::string& path, const std::string& hash) {
    std::scoped_lock hold(lock_);
    hashes_[path] = hash;
  }
  static OtherPrograms& all() {
    static OtherPrograms programs;
    return programs;
  }

 private:
  std::mutex lock_;
  std::map<std::string, std::string> hashes_;
};

bool gets_own_program(std::string_view architecture) {
  return can_be_far_side() && architecture == session::own_architecture();
}

// Returns why the machine serves no session. The text comes from the machine, so it is not trusted.
Error explain_refusal(const ssh::Target& machine, const wire::Refused& refused) {
  constexpr size_t kLongest = 1000;
  return {Code::denied, machine.to_string() + " cannot run bottle: " + one_line(refused.what, kLongest),
          refused.todo.empty() ? "" : "on that machine, " + one_line(refused.todo, kLongest)};
}

}  // namespace

// Another operator may use the same account with another version, so only the time of a file says whether it is still
// needed. Build ids and hashes have at least 16 digits, and the other entries of the directory have other names. A
// supervisor that runs a removed program goes on, and whoever needs the file again sends it again.
std::string removal_of_old_programs() {
  return "find \"$d/\" -maxdepth 1 -type f -mtime +90 \\( -name '.new.*' -o -name '????????????????*' ! -name "
         "'*[!0-9a-f]*' \\) -exec rm -f {} + 2>/dev/null || :";
}

Error explain_answer(const ssh::Target& machine, const std::string& line) {
  std::string name = machine.to_string();
  // nologin(8) prints this, no matter what it was asked to run.
  if (line.find("account is currently not available") != std::string::npos)
    return {Code::denied, "your user on " + name + " has no login shell: " + one_line(line, 200),
            "give it one on that machine, for example with `sudo chsh -s /bin/sh USER`, or use another user"};
  return {Code::protocol, name + " answered with something other than bottle: " + one_line(line, 200),
          "`" + machine.command() + " true` must print nothing; check whether a login script prints something"};
}

Result<std::string> own_program() { return read_file(path_to_self(), kLargestProgram); }

Result<std::string> program_for_far_side(const std::string& machine, const std::string& directory) {
  std::string wanted(session::architecture_named(machine));
  if (wanted.empty())
    return fail(Code::invalid, "the machine has the unknown architecture " + one_line(machine, 64),
                "use a machine with x86_64 or aarch64");
  if (gets_own_program(wanted)) return own_program();
  // `wanted` is one of our own names for architectures, not the machine's text.
  std::string path = path_of_program(directory, wanted);
  auto program = session::read_program(path);
  // A file that another user may have written is an error, not a missing file.
  if (program || program.error().code != Code::not_found) return program;
  return fail(Code::not_found,
              "the machine needs bottle for Linux on " + wanted + "; this program is for another system, and " + path +
                  " does not exist",
              "save the bottle program of the same release for that processor as that file");
}

Result<std::string> own_hash() {
  static const Result<std::string> hash = []() -> Result<std::string> {
    // The linker's hash of the program costs nothing. Reading and hashing the whole program would take as long as a
    // round trip.
    if (std::string id = build_id(); !id.empty()) return id;
    return content_hash(TRY(own_program()));
  }();
  return hash;
}

Result<FarSide> FarSide::reach(const MachineAddress& address, Reaching how) {
  ssh::Options options;
  options.interactive = how.interactive;
  options.stop = how.stop;
  options.progress = how.progress;
  FarSide side(address, TRY(ssh::Connection::open(address.target, options)));
  side.progress_ = std::move(how.progress);
  side.stop_ = std::move(how.stop);
  side.programs_ = std::move(how.programs);
  return side;
}

ssh::Options FarSide::bulk_options() const {
  ssh::Options options;
  options.purpose = "bulk";
  options.stop = stop_;
  options.progress = progress_;
  return options;
}

Result<ssh::Connection> FarSide::bulk() {
  auto other = ssh::Connection::open(address_.target, bulk_options());
  // ssh may have to ask again, for a passphrase or a second factor, or the machine may not allow a second connection.
  // Everything then goes over the existing one.
  if (!other && other.error().code != Code::canceled && main_.alive()) return main_;
  return other;
}

void FarSide::drop_dead() {
  ssh::Connection::close_if_dead(address_.target, {});
  ssh::Connection::close_if_dead(address_.target, bulk_options());
}

void FarSide::drop() {
  main_.close();
  ssh::Connection::close_existing(address_.target, bulk_options());
}

std::string FarSide::line_for(const std::vector<std::string>& words) const {
  // If the program is missing, sh prints the machine's system and architecture, so that the right program can be
  // sent, and its status says that the command did not run. The time of the file says when the program was last used;
  // it is set first, so that the program is not removed now.
  // A program for another processor may be of another release than this one, so its own hash is added to the name.
  std::string other;
  for (auto [architecture, names] : {std::pair("x86_64", "x86_64|amd64"), {"aarch64", "aarch64|arm64"}}) {
    if (gets_own_program(architecture)) continue;
    std::string hash = OtherPrograms::all().hash(path_of_program(programs_, architecture));
    if (!hash.empty()) other += "case $(uname -m) in " + std::string(names) + ") b=\"$b\"" + hash + ";; esac; ";
  }
  std::string line = "b=\"${XDG_CACHE_HOME:-$HOME/.cache}/bottle/" + address_.program + "\"; " + other +
                     "touch -c \"$b\" 2>/dev/null; "
                     "[ -x \"$b\" ] || { echo \"{\\\"bottle\\\":\\\"absent\\\",\\\"machine\\\":\\\"$(uname "
                     "-m)\\\",\\\"system\\\":\\\"$(uname -s)\\\"}\"; exit " +
                     std::to_string(kAbsentStatus) +
                     "; }; "
                     "exec \"$b\" far";
  for (const auto& word : words) line += " " + ssh::quoted(word);
  return line;
}

Result<> FarSide::ship_program(const std::string& machine) {
  auto program = TRY(during(main_.target().to_string(), program_for_far_side(machine, programs_)));
  std::string name = address_.program, packed = TRY(gzipped(program));
  if (std::string wanted(session::architecture_named(machine)); !gets_own_program(wanted)) {
    // line_for() now asks for what is sent, even if the file was replaced after its hash was taken.
    std::string hash = content_hash(program);
    OtherPrograms::all().set(path_of_program(programs_, wanted), hash);
    name += hash;
  }
  if (progress_)
    progress_("sending bottle to " + main_.target().to_string() + " (" + std::to_string(packed.size() >> 20) +
              " MB, once)");
  // The program is written under a temporary name and renamed, so that a broken connection cannot leave half a program
  // under the final name.
  std::string line =
      "set -e; umask 077; d=\"${XDG_CACHE_HOME:-$HOME/.cache}/bottle\"; mkdir -p \"$d\"; t=\"$d/.new.$$\"; trap 'rm -f "
      "\"$t\"' EXIT; "
      "gzip -dc >\"$t\"; [ \"$(wc -c <\"$t\")\" -eq " +
      std::to_string(program.size()) + " ]; chmod 700 \"$t\"; mv -f \"$t\" \"$d/" + name + "\"; " +
      removal_of_old_programs() + "; echo ok";
  auto connection = TRY(bulk());
  auto done = TRY(connection.capture(line, {.input = packed, .timeout_ms = 600000}));
  if (done.status != 0 || done.out != "ok\n")
    return fail(Code::unavailable,
                "copying bottle to " + main_.target().to_string() + " failed: " + folded(done.err, 500),
                "check that its disk is not full and that its home directory is writable");
  return {};
}

Result<Channel> FarSide::begin_serve(const Serving& serving) {
  std::vector<std::string> names;
  // ssh sends variables of its own environment, and only those that are named.
  for (const auto& [name, value] : serving.send_env) names.push_back(name);
  std::vector<std::string> words = {"serve"};
  if (serving.await_engine) words.push_back("await-engine");
  Command command = main_.command(line_for(words), names);
  for (const auto& [name, value] : serving.send_env) command.env[name] = value;
  command.detached = true;  // Ctrl-C on the terminal must not end it, and it outlives the launcher
  Child child = TRY(Child::spawn(command, Child::pipe(), Child::pipe(), Child::null()));
  Channel channel;
  // The channel may be passed on to another process without the child, so its descriptors are duplicates.
  channel.in.reset(::fcntl(child.in(), F_DUPFD_CLOEXEC, 10));
  channel.out.reset(::fcntl(child.out(), F_DUPFD_CLOEXEC, 10));
  ::fcntl(channel.in.get(), F_SETFL, O_WRONLY | O_NONBLOCK);  // a peer that does not read must not block us
  child.close_in();
  channel.ssh.emplace(std::move(child));
  return channel;
}

Result<Channel> FarSide::serve(const Serving& serving) {
  // There are at most two attempts. The second one follows once the program was sent.
  for (int attempt = 0;; ++attempt) {
    Channel channel = TRY(begin_serve(serving));
    Defer end([&] { channel.ssh->end(0); });
    // The far side itself waits up to five minutes for an engine that is starting.
    std::string line = TRY(during("talking to " + main_.target().to_string(),
                                  read_line(channel.out.get(), serving.await_engine ? 330000 : 60000, stop_)));
    auto greeting = wire::decode_greeting(line);
    if (auto* hello = greeting ? std::get_if<wire::Hello>(&*greeting) : nullptr) {
      channel.hello = std::move(*hello);
      end.dismiss();
      return channel;
    }
    if (auto* refused = greeting ? std::get_if<wire::Refused>(&*greeting) : nullptr)
      return std::unexpected(explain_refusal(main_.target(), *refused));
    auto* absent = greeting ? std::get_if<wire::Absent>(&*greeting) : nullptr;
    if (!absent) return std::unexpected(explain_answer(main_.target(), line));
    // The program was sent just now, and [ -x ] still fails.
    if (attempt > 0)
      return fail(
          Code::unavailable,
          "bottle was copied to " + main_.target().to_string() +
              ", but its cache directory does not allow programs to run (it may be mounted with noexec)",
          "on that machine, set XDG_CACHE_HOME to one of your own directories that allows it, for example with SetEnv "
          "in its sshd_config");
    TRY(ship_program(absent->machine));
  }
}

Result<> FarSide::ship_to_absent(const std::string& answer) {
  auto greeting = wire::decode_greeting(answer);
  if (auto* absent = greeting ? std::get_if<wire::Absent>(&*greeting) : nullptr) return ship_program(absent->machine);
  return fail(Code::unavailable, main_.target().to_string() + " has no bottle, and did not say which one it needs");
}

Result<Captured> FarSide::ask(const std::vector<std::string>& words, int timeout_ms) {
  auto connection = TRY(bulk());
  auto answer = TRY(connection.capture(line_for(words), {.timeout_ms = timeout_ms}));
  if (answer.status == kAbsentStatus) {
    TRY(ship_to_absent(answer.out));
    answer = TRY(connection.capture(line_for(words), {.timeout_ms = timeout_ms}));
  }
  // ssh itself exits with 255.
  if (answer.status == 255)
    return fail(Code::unavailable,
                words[0] + " on " + main_.target().to_string() + " failed: " + folded(answer.err, 500));
  return answer;
}

Result<> FarSide::send(const std::vector<std::string>& words, const std::function<Result<>(const Sink&)>& produce,
                       std::stop_token stop) {
  if (TRY(offer(words, produce, std::move(stop))) == Taken::yes) return {};
  return fail(Code::protocol, main_.target().to_string() + " asks for what it was sent as a whole");
}

Result<FarSide::Taken> FarSide::offer(const std::vector<std::string>& words,
                                      const std::function<Result<>(const Sink&)>& produce, std::stop_token stop) {
  if (!stop.stop_possible()) stop = stop_;
  auto connection = TRY(bulk());
  Child child = TRY(Child::spawn(connection.command(line_for(words)), Child::pipe(), Child::pipe(), Child::pipe()));
  // The callback signals the whole group. It runs in the thread that requests the stop, while this one may be waiting.
  std::optional<std::stop_callback<std::function<void()>>> stopped(std::in_place, stop,
                                                                   [pid = child.pid()] { ::kill(-pid, SIGTERM); });
  // A blocking write could not be stopped.
  ::fcntl(child.in(), F_SETFL, O_WRONLY | O_NONBLOCK);
  // First everything is written, and then the answer is read: the far side answers only at the end of its input.
  auto produced = produce([&](std::string_view bytes) { return write_until(child.in(), bytes, stop); });
  child.close_in();
  // A closed pipe means that the far side has ended. Its error output, which is read next, says why.
  if (!produced && produced.error().code != Code::closed) return std::unexpected(std::move(produced.error()));
  // Reading one after the other cannot block, because the answer is one word, and both streams end with the remote
  // program.
  std::string answer = read_to_end(child.out(), stop), complaint = read_to_end(child.err(), stop);
  // The far side may have sent "ok" just before; the caller has stopped and does not need it.
  if (stop.stop_requested()) return fail(Code::canceled, words[0] + " was stopped");
  stopped.reset();  // before the child is reaped, because its pid may then pass to another process
  int status = TRY(child.wait(60000));
  if (status == 0 && answer == "ok\n") return Taken::yes;
  if (status == 0 && answer == "again\n") return Taken::again;
  std::string why = folded(complaint.empty() ? answer : complaint, 500);
  // ssh itself exits with 255.
  return fail(status == 255 ? Code::unavailable : Code::internal,
              words[0] + " on " + main_.target().to_string() +
                  " failed: " + (why.empty() ? "status " + std::to_string(status) : why));
}

Result<> FarSide::fetch(const std::vector<std::string>& words,
                        const std::function<Result<>(const std::string&, const Source&)>& put,
                        const std::function<bool()>& is_gone, uint64_t most) {
  auto connection = TRY(bulk());
  Child child = TRY(Child::spawn(connection.command(line_for(words)), Child::null(), Child::pipe(), Child::pipe()));
  auto done = read_delivery(child.out(), put, std::chrono::milliseconds(transfer::kFetchPatience).count(), is_gone,
                            bounds_of_fetch(most));
  if (done || (done.error().code != Code::closed && done.error().code != Code::protocol)) return done;
  // The far side has ended. Its error output, which comes with its end, says why.
  std::string why = folded(read_to_end(child.err(), stop_, Deadline::in(std::chrono::seconds(2))), kMostOfReason);
  if (child.wait(2000).value_or(0) == kAbsentStatus) {
    (void)TRY(ask({"hello"}));  // sends the program
    return fail(Code::unavailable,
                words[0] + " on " + main_.target().to_string() + " failed: its bottle was missing, and was sent again");
  }
  if (why.empty()) return done;
  return fail(Code::closed, words[0] + " on " + main_.target().to_string() + " failed: " + why);
}

}  // namespace bottle::remote
