// Parses and shows destinations. The parser is stricter than ssh, because the text becomes an argument of ssh, a word
// of commands that are shown to the operator, and %h and %r in the operator's own ProxyCommand, which a shell runs.
#include "ssh/target.h"

#include <algorithm>

#include "base/text/parse.h"
#include "base/text/shell_word.h"

namespace bottle::ssh {
namespace {

bool all_of(const std::string& text, const char* extra) {
  return std::ranges::all_of(text, [&](unsigned char c) {
    return std::isalnum(c) || std::string_view(extra).find(static_cast<char>(c)) != std::string_view::npos;
  });
}

}  // namespace

std::string Target::to_string() const {
  std::string text = user.empty() ? "" : user + "@";
  text += host.find(':') == std::string::npos ? host : "[" + host + "]";
  return port ? text + ":" + std::to_string(port) : text;
}

std::string Target::command() const {
  return "ssh " + (port ? "-p " + std::to_string(port) + " " : "") +
         shell_word(user.empty() ? host : user + "@" + host);
}

Result<Target> parse_target(const std::string& given) {
  auto bad = [&](const std::string& why) {
    return fail(Code::invalid, "'" + given + "' is not user@host[:port]: " + why);
  };
  std::string text = given;
  if (text.starts_with("ssh://")) {
    text.erase(0, 6);
    // An ssh:// URL may end with a slash, and it has no path.
    while (text.ends_with('/')) text.pop_back();
  }
  Target target;
  // The last "@" ends the user, as in ssh. A user's name may contain one, as an email address does.
  if (size_t at = text.rfind('@'); at != std::string::npos) {
    target.user = text.substr(0, at);
    text.erase(0, at + 1);
    // A backslash separates a Windows domain from a user.
    if (target.user.empty() || target.user.starts_with('-') || !all_of(target.user, "._-+@\\"))
      return bad("the user is not valid");
  }
  std::string port;
  if (text.starts_with('[')) {
    size_t end = text.find(']');
    if (end == std::string::npos) return bad("a bracket is not closed");
    target.host = text.substr(1, end - 1);
    std::string rest = text.substr(end + 1);
    if (!rest.empty() && !rest.starts_with(':')) return bad("there is text after the bracket");
    if (!rest.empty()) port = rest.substr(1);
    if (!rest.empty() && port.empty()) return bad("the port is not valid");
    // More than one colon without brackets is an IPv6 address, which then has no port.
  } else if (std::ranges::count(text, ':') == 1) {
    size_t colon = text.find(':');
    target.host = text.substr(0, colon);
    port = text.substr(colon + 1);
    if (port.empty()) return bad("the port is not valid");
  } else {
    target.host = text;
  }
  // Source: ssh(1), "destination". A leading dash would be read as an option; white space or a quote could reach a
  // ProxyCommand.
  if (target.host.empty() || target.host.starts_with('-') || !all_of(target.host, ".-_:%"))
    return bad("the host is not valid");
  if (!port.empty()) {
    target.port = number_in<uint16_t>(port).value_or(0);
    if (target.port == 0) return bad("the port is not valid");
  }
  return target;
}

}  // namespace bottle::ssh
