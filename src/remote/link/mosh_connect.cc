// Reads two lines of a mosh-server's output: its port and key, and the address to which the ssh connection came.
// Everything else is ignored. Each value must have exactly the expected form, because it becomes an argument or a
// variable of mosh-client.
#include "remote/link/mosh_connect.h"

#include <arpa/inet.h>

#include <algorithm>

#include "base/text/parse.h"

#include "base/text/words.h"

namespace bottle::remote {

bool is_forwarded(const std::vector<std::string>& ours, const std::string& theirs) {
  // This machine reaches a forwarded port at a loopback address, while the other machine's sshd sees one of its own
  // addresses.
  auto loopback = [](const std::string& address) { return address.starts_with("127.") || address == "::1"; };
  return !theirs.empty() && !loopback(theirs) && std::ranges::all_of(ours, loopback);
}

Result<MoshConnect> parse_mosh_connect(const std::string& text) {
  MoshConnect found;
  // Returns the rest of the first line that begins with `mark`, or an empty text.
  auto after = [&](const std::string& mark) -> std::string {
    for (std::string_view line : each_line(text))
      if (line.starts_with(mark)) return std::string(trimmed_end(line.substr(mark.size()), "\r"));
    return "";
  };
  std::string words = after("MOSH CONNECT ");
  size_t space = words.find(' ');
  auto port = number_in<uint16_t>(words.substr(0, space));
  std::string key = space == std::string::npos ? "" : words.substr(space + 1);
  bool plain =
      key.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") == std::string::npos;
  // A key is 128 bits in Base64 without its padding, which are 22 characters.
  if (!port || *port == 0 || key.size() != 22 || !plain)
    return fail(Code::protocol, "mosh-server did not print how to reach it");
  found.port = *port;
  found.key = key;
  // The format is "client-address client-port server-address server-port" (ssh(1), SSH_CONNECTION).
  std::string connection = after("MOSH IP ");
  for (int word = 0; word < 2; ++word) {
    size_t next = connection.find(' ');
    connection = next == std::string::npos ? "" : connection.substr(next + 1);
  }
  std::string server = connection.substr(0, connection.find(' '));
  in6_addr ignored{};
  if (server.find_first_not_of("0123456789abcdefABCDEF.:") != std::string::npos)
    return found;  // inet_pton stops at a NUL
  if (::inet_pton(AF_INET, server.c_str(), &ignored) == 1 || ::inet_pton(AF_INET6, server.c_str(), &ignored) == 1)
    found.server_address = server;
  return found;
}

}  // namespace bottle::remote
