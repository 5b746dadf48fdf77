// The search for a key begins where using it costs the operator the least effort: in the operator's own ssh-agent.
// Next comes the file without a passphrase, and last a passphrase from the operator. All of this happens before
// anything is created, so that a wrong passphrase does not end a session that has begun. This program never reads the
// private key itself: ssh-keygen proves that a passphrase opens it, and later ssh-add loads it into the session's
// ssh-agent.
#include "session/credentials/ssh_keys.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/files/file.h"
#include "base/os/process.h"
#include "base/text/base64.h"
#include "base/text/shell_word.h"
#include "session/credentials/agent_client.h"
#include "session/credentials/askpass.h"
#include "sshagent/wire.h"

namespace bottle::session {
namespace {

using wire::SshKey;

constexpr int kPatience = 20000;

// Returns the name to connect to. `host` is only the agent's name for it if the manifest has another `hostname`.
std::string real_host(const manifest::SshHost& host) { return host.hostname.empty() ? host.host : host.hostname; }

// Returns the public half from the file beside the key, where ssh-keygen leaves it.
std::string public_beside(const std::string& file) {
  auto text = read_file(file + ".pub", 64 << 10);
  return text ? sshagent::blob_of(*text) : std::string();
}

// Returns the key's public half if the passphrase opens it. ssh-keygen gets the passphrase from this program
// (SSH_ASKPASS), which reads it from its stdin.
Result<std::string> unlock(const std::string& file, const std::string& passphrase) {
  Command command{.argv = {"ssh-keygen", "-y", "-f", file}};
  UniqueFd self = ask_this_program(command);
  auto done = TRY(capture(command, {.input = passphrase + "\n", .timeout_ms = kPatience}));
  if (done.status != 0) return fail(Code::denied, "this passphrase does not open " + file);
  std::string blob = sshagent::blob_of(done.out);
  if (blob.empty()) return fail(Code::invalid, "ssh-keygen prints no public key for " + file);
  return blob;
}

// Returns the public keys of the hosts that the key in `file` is for.
std::set<std::string> host_keys(const plan::Plan& plan, const std::string& file) {
  std::set<std::string> blobs;
  for (const auto& host : plan.ssh)
    if (host.identity_file == file) blobs.insert(sshagent::blob_of(host.known_host_key));
  blobs.erase("");  // the filter signs nothing for a host whose key is not known
  return blobs;
}

// Returns whether the operator's ssh-agent holds the key and can be relied on for its hosts. The filter trusts an
// ssh-agent to verify the server's signature, but ssh itself works with one that only says that it did.
bool may_hold(const std::string& socket, const std::string& blob, const std::set<std::string>& hosts,
              const Progress& progress) {
  auto held = list_agent_keys(socket);
  if (!held || std::ranges::none_of(*held, [&](const auto& each) { return each.blob == blob; })) return false;
  for (const auto& host : hosts) {
    // Without an answer, it will not confirm the host to the bottle either, so it then signs nothing.
    if (!confirms_unverified(socket, host).value_or(false)) continue;
    progress("the ssh-agent at " + socket + " confirms hosts without verifying them, so it is not used");
    return false;
  }
  return true;
}

// Finds one key, and asks for its passphrase up to three times. The question names `host`.
Result<SshKey> find(const std::string& file, const std::string& host, const Ask& ask) {
  SshKey key{.file = file, .blob = public_beside(file)};
  if (::access(file.c_str(), R_OK) != 0) return fail_errno("reading the key " + file + " of ssh host " + host);
  struct stat st{};
  // ssh-add would refuse this key after containers have been made.
  if (::stat(file.c_str(), &st) == 0 && (st.st_mode & 077) != 0)
    return fail(Code::denied, "the key " + file + " can be read by others, so ssh will not use it",
                "run `chmod 600 " + shell_word(file) + "`");
  // Most keys without a passphrase are found here, without a question.
  if (auto open = unlock(file, "")) {
    key.blob = *open;
    return key;
  }
  const std::string question = "Passphrase of " + file + " (for " + host + ")";
  for (int attempt = 0; attempt < 3; ++attempt) {
    key.passphrase = TRY(ask(question));
    if (auto open = unlock(file, key.passphrase)) {
      key.blob = *open;
      return key;
    }
  }
  return fail(Code::denied,
              "the key " + file + " could not be opened: the passphrase is wrong, or it is not a private key",
              "run `ssh-keygen -y -f " + shell_word(file) + "` to see which");
}

}  // namespace

Result<std::vector<SshKey>> find_ssh_keys(const plan::Plan& plan, const std::map<std::string, std::string>& environment,
                                          const Ask& ask, const Progress& progress, const OnMissing& on_missing) {
  std::vector<SshKey> keys;
  std::set<std::string> seen;
  auto socket = environment.find("SSH_AUTH_SOCK");
  bool has_agent = socket != environment.end() && !socket->second.empty();
  for (const auto& host : plan.ssh) {
    if (host.identity_file.empty() || !seen.insert(host.identity_file).second) continue;
    const std::string& file = host.identity_file;
    // An ssh-agent lists public keys only, so without the file beside the key nothing can be compared.
    std::string blob = public_beside(file);
    if (has_agent && !blob.empty() && may_hold(socket->second, blob, host_keys(plan, file), progress)) {
      keys.push_back({.holder = SshKey::Holder::other, .file = file, .blob = blob, .socket = socket->second});
      continue;
    }
    auto key = find(file, host.host, ask);
    if (key) keys.push_back(std::move(*key));
    else TRY(on_missing(std::move(key.error())));
  }
  return keys;
}

bool needs_own_agent(const std::vector<SshKey>& keys) {
  return std::ranges::any_of(keys, [](const SshKey& key) { return key.holder == SshKey::Holder::session; });
}

std::vector<sshagent::Key> filter_keys(const plan::Plan& plan, const std::vector<SshKey>& keys) {
  std::vector<sshagent::Key> all;
  for (const auto& key : keys) {
    // The operator may have one key in two files. The filter needs one entry with the hosts of both.
    auto same = std::ranges::find_if(all, [&](const auto& each) { return each.blob == key.blob; });
    if (same == all.end()) same = all.insert(all.end(), {key.blob, "", {}});
    for (const auto& host : plan.ssh) {
      std::string blob = sshagent::blob_of(host.known_host_key);
      if (host.identity_file != key.file || blob.empty()) continue;
      same->to.push_back({host.host, blob, host.user});
      same->comment += (same->comment.empty() ? "" : ", ") + host.host;
    }
  }
  return all;
}

std::string known_hosts(const plan::Plan& plan) {
  std::string text;
  for (const auto& host : plan.ssh) text += host.host + " " + host.known_host_key + "\n";
  return text;
}

std::vector<wire::GoFile> ssh_files(const plan::Plan& plan, const std::vector<SshKey>& keys, const std::string& guard) {
  std::string config =
      "# Written by bottle. The keys are in an ssh-agent outside the bottle, and the guard allows only these hosts.\n";
  std::vector<wire::GoFile> files;
  for (const auto& host : plan.ssh) {
    auto key = std::ranges::find_if(
        keys, [&](const SshKey& each) { return each.file == host.identity_file && !host.identity_file.empty(); });
    std::string real = real_host(host);
    config.append("\nHost ").append(host.host);
    if (real != host.host) config.append(" ").append(real);
    config.append("\n  HostName ").append(real).append("\n  Port ").append(std::to_string(host.port)).append("\n");
    if (!host.user.empty()) config += "  User " + host.user + "\n";
    // ssh checks the host key here, as the guard does, under the name that the operator gave the host.
    config += "  HostKeyAlias " + host.host +
              "\n  UserKnownHostsFile /run/bottle/known_hosts\n  GlobalKnownHostsFile /dev/null\n  "
              "StrictHostKeyChecking yes\n"
              "  UpdateHostKeys no\n  CheckHostIP no\n  ForwardAgent no\n  ProxyCommand /.bottle/inside connect " +
              guard + " %h %p\n";
    if (key == keys.end()) continue;
    // For ssh, a file with a public key chooses one of the ssh-agent's keys (IdentitiesOnly, ssh_config(5)).
    std::string blob = key->blob, type(sshagent::Reader(blob).string());
    std::string file = "/run/bottle/ssh-" + host.host + ".pub";
    files.push_back({file, 0600, type + " " + base64(blob) + " " + host.host + "\n"});
    config += "  IdentityAgent /run/bottle/ssh-agent.sock\n  IdentityFile " + file + "\n  IdentitiesOnly yes\n";
  }
  files.push_back({"/home/agent/.ssh/config", 0600, config});
  files.push_back({"/run/bottle/known_hosts", 0600, known_hosts(plan)});
  return files;
}

}  // namespace bottle::session
