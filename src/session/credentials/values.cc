// All values are read and checked before anything is created. A missing variable or an unsuitable value is then an
// error of the start that names it, and does not surface later as a guard that refuses its configuration. The checks
// follow from where a value goes: variables into the environment of a process, secrets into a header of a request.
#include "session/credentials/values.h"

#include <algorithm>
#include <filesystem>

#include "base/files/file.h"
#include "base/os/process.h"
#include "base/text/json.h"
#include "base/text/line.h"
#include "base/text/path_parts.h"
#include "base/text/words.h"
#include "session/credentials/known_values.h"

namespace bottle::session {
namespace {

using wire::Values;

Result<std::string> value_of(const plan::Source& source, const std::map<std::string, std::string>& environment,
                             const Ask& ask) {
  using Kind = plan::Source::Kind;
  switch (source.kind) {
    case Kind::literal:
    case Kind::locale:
      return source.text;
    case Kind::env: {
      auto it = environment.find(source.text);
      // An empty variable is most likely a mistake. As a secret, it could not be recognized in any traffic.
      if (it == environment.end() || it->second.empty())
        return fail(Code::not_found,
                    "the variable " + source.text + (it == environment.end() ? " is not set" : " is empty"),
                    "export " + source.text + ", then try again");
      return it->second;
    }
    case Kind::file:
      // Editors and programs end a file with a line end, which does not belong to the value.
      return std::string(trimmed_end(TRY(read_file(source.text, 1 << 20)), "\r\n"));
    case Kind::cmd: {
      Command command;
      command.argv = {"/bin/sh", "-c", source.text};
      command.own_group = false;  // so that it may ask on the terminal
      auto out = TRY(capture(command, {.pass_stderr = true}));
      if (out.status != 0)
        return fail(Code::unavailable,
                    "the command `" + source.text + "` exited with status " + std::to_string(out.status));
      return std::string(trimmed_end(out.out, "\r\n"));
    }
    case Kind::prompt:
      return ask(source.text);
  }
  return fail(Code::internal, "unknown source");
}

// Values travel as JSON, which is UTF-8, and variables end at a NUL byte (environ(7)).
Result<> check_variable(const std::string& value) {
  if (!is_utf8(value)) return fail(Code::invalid, "the value is not UTF-8", "convert it, for example with iconv");
  if (value.find('\0') != value.npos) return fail(Code::invalid, "the value contains a NUL byte");
  return {};
}

// The guard does not look for shorter values, because they would be found everywhere by chance.
constexpr size_t kShortest = 8;

Result<> check_length(const std::string& value) {
  if (value.size() >= kShortest) return {};
  return fail(Code::invalid, "the value has fewer than 8 bytes, so it would match too much",
              "check where the value comes from");
}

// The guard puts a secret into a header, which must not contain control characters (RFC 9110 section 5.5).
Result<> check_secret(const std::string& name, const std::string& value) {
  constexpr size_t kLongest = 16 << 10;
  if (name != plan::kParentLogin) TRY(check_length(value));  // the guard does not search for that login
  if (value.size() > kLongest) return fail(Code::limit, "the value has more than 16 KB");
  if (!is_utf8(value)) return fail(Code::invalid, "the value is not UTF-8", "convert it, for example with base64");
  if (value.find_first_of("\r\n") != value.npos)
    return fail(Code::invalid, "the value has more than one line, and a header takes only one",
                "if it is a key, use `ssh:` or a file of the workspace; otherwise encode it, for example with base64");
  if (std::ranges::any_of(value, [](unsigned char c) { return c < 0x20 || c == 0x7f; }))
    return fail(Code::invalid, "the value contains a control byte", "check where the value comes from");
  return {};
}

// Reads the files of scan.secrets.
Result<> add_known(const std::vector<std::string>& files, std::map<std::string, std::string>& known) {
  size_t bytes = 0;
  for (const std::string& file : files) {
    std::string text = TRY(during("scan.secrets", read_file(file, kMostKnownFile)));
    auto values = TRY(during("scan.secrets: " + file, known_values(name_in(file), text)));
    for (auto& [name, value] : values) {
      bytes += value.size();
      if (known.size() == kMostKnownValues || bytes > kMostKnownBytes)
        return fail(Code::limit, "scan.secrets: the files have more than 1000 values, or more than 128 KB of values",
                    "list only the files whose values must not leave");
      std::string free = name;  // files in different directories may have the same name
      for (int n = 2; known.contains(free); ++n) free = name + "-" + std::to_string(n);
      known.emplace(std::move(free), std::move(value));
    }
  }
  return {};
}

}  // namespace

std::vector<std::string> warnings_of_short_values(const std::vector<std::string>& files) {
  constexpr size_t kMostNamed = 5;
  std::vector<std::string> warnings;
  for (const std::string& file : files) {
    // A pipe can be read only once.
    std::error_code unreadable;
    if (!std::filesystem::is_regular_file(file, unreadable)) continue;
    auto names = too_short_values(read_file(file, kMostKnownFile).value_or(""));
    if (names.empty()) continue;
    size_t more = names.size() - std::min(names.size(), kMostNamed);
    names.resize(names.size() - more);
    for (auto& name : names) name = one_line(name, 100);
    warnings.push_back("scan.secrets: " + file + ": the guard does not look for " + joined(names) +
                       (more ? " and " + std::to_string(more) + " more" : "") +
                       ", because values of fewer than 8 bytes would be found everywhere");
  }
  return warnings;
}

Result<Values> resolve(const plan::Plan& plan, const std::map<std::string, std::string>& environment,
                       const Ask& ask_each, const OnMissing& on_missing) {
  Values values;
  // A variable and a secret with the same question, as an exposed secret has, are asked for once.
  std::map<std::string, std::string> answers;
  Ask ask = [&](const std::string& question) -> Result<std::string> {
    if (auto known = answers.find(question); known != answers.end()) return known->second;
    return answers[question] = TRY(ask_each(question));
  };
  for (const auto& var : plan.env) {
    auto value = value_of(var.source, environment, ask);
    auto good = then(value, check_variable);
    if (good && var.secret) good = check_length(*value);
    if (good) values.env[var.name] = *value;
    else TRY(on_missing(std::move(good.error()).during("variable " + var.name)));
  }
  for (const auto& secret : plan.secrets) {
    auto value = value_of(secret.source, environment, ask);
    // For an optional secret, only a missing value is acceptable. A command that failed is still an error.
    if (!value && secret.optional && value.error().code == Code::not_found) continue;
    auto good = then(value, [&](const auto& text) { return check_secret(secret.name, text); });
    if (good) values.secrets[secret.name] = *value;
    else TRY(on_missing(std::move(good.error()).during("secret " + secret.name)));
  }
  TRY(add_known(plan.scan.secrets, values.known));
  return values;
}

}  // namespace bottle::session
