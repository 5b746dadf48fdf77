// cloud-init accepts JSON, because JSON is also YAML, and a JSON encoder quotes all values correctly. The order on
// the VM matters: the dead-man switch is armed first (bootcmd), before anything can fail, so that a VM that does not
// become usable ends by itself. Only the user `bottle` may sign in, with one key.

#include "machine/user_data.h"

#include <nlohmann/json.hpp>

#include "machine/provider/carried.h"

namespace bottle::machine {
namespace {

// sshd reads this before its own settings, and the first value counts.
constexpr const char* kSshd =
    "AllowUsers bottle\n"
    "AuthenticationMethods publickey\n"
    "PasswordAuthentication no\n"
    "KbdInteractiveAuthentication no\n"
    "PermitRootLogin no\n"
    "PermitEmptyPasswords no\n"
    "X11Forwarding no\n"
    "AllowAgentForwarding no\n"
    "GatewayPorts no\n"
    "PermitTunnel no\n"
    "UseDNS no\n"
    "AcceptEnv BOTTLE_TOKEN\n"
    // A session has several connections with many channels, and sshd's default is 10.
    "MaxSessions 64\n"
    "MaxAuthTries 3\n"
    "HostKey /etc/ssh/ssh_host_ed25519_key\n";

// Installs the program and starts the dead-man switch. cloud-init runs bootcmd first, at every boot.
constexpr const char* kArm =
    "mkdir -p /usr/local/sbin && printf '%s' \"$1\" >/usr/local/sbin/bottle-vm && chmod 755 /usr/local/sbin/bottle-vm "
    "&& "
    "exec /usr/local/sbin/bottle-vm arm \"$2\" \"$3\" \"$4\"";

// Installs a container engine if the image has none, as is usual in clouds. Images that have one lose no time.
constexpr const char* kEngine =
    "command -v dockerd >/dev/null || { export DEBIAN_FRONTEND=noninteractive; "
    "{ apt-get -qq update && apt-get -qq -y install docker.io; } || dnf -y -q install moby-engine || dnf -y -q install "
    "docker; "
    "systemctl enable --now docker; usermod -aG docker bottle; }";

}  // namespace

std::string user_data(const UserData& data) {
  using nlohmann::json;
  json config = {
      {"hostname", data.name},
      {"disable_root", true},
      {"ssh_pwauth", false},
      // The group must exist before the user is added to it, even on an image without an engine.
      {"groups", {"docker"}},
      {"users",
       {{{"name", "bottle"},
         {"groups", "docker"},
         {"shell", "/bin/bash"},
         {"lock_passwd", true},
         {"ssh_authorized_keys", {data.public_key}},
         {"sudo", {"ALL=(root) NOPASSWD: /usr/local/sbin/bottle-vm"}}}}},
      {"ssh_deletekeys", true},
      // The image's own keys are removed, and no others are made: only the key that we made may be in use.
      {"ssh_genkeytypes", json::array()},
      {"ssh_keys", {{"ed25519_private", data.host_private}, {"ed25519_public", data.host_public}}},
      // The key would be printed on the console, and clouds store that output.
      {"ssh_publish_hostkeys", {{"enabled", false}}},
      {"write_files",
       {{{"path", "/etc/ssh/sshd_config.d/00-bottle.conf"}, {"permissions", "0600"}, {"content", kSshd}}}},
      {"bootcmd",
       {{"sh", "-c", kArm, "sh", std::string(vm_side_program()), std::to_string(data.ttl), std::to_string(data.idle),
         data.name}}},
      {"runcmd", {{"sh", "-c", kEngine}}},
  };
  return "#cloud-config\n" + config.dump() + "\n";
}

}  // namespace bottle::machine
