#include "session/credentials/values.h"

#include "base/file.h"
#include "base/os/process.h"

namespace bottle::session {
namespace {

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text;
}

Result<std::string> value_of(const plan::Source& source, const std::map<std::string, std::string>& environment,
                             const Ask& ask) {
  using Kind = plan::Source::Kind;
  switch (source.kind) {
    case Kind::literal:
      return source.text;
    case Kind::env: {
      auto it = environment.find(source.text);
      if (it == environment.end() || it->second.empty())
        return fail(Code::not_found, "the variable " + source.text + " is not set",
                    "export " + source.text + ", then try again");
      return it->second;
    }
    case Kind::file:
      return trimmed(TRY(read_file(source.text, 1 << 20)));
    case Kind::cmd: {
      Command command;
      command.argv = {"/bin/sh", "-c", source.text};
      command.own_group = false;  // it may ask on the terminal
      auto out = TRY(capture(command, {.pass_stderr = true}));
      if (out.status != 0)
        return fail(Code::unavailable,
                    "the command `" + source.text + "` exited with status " + std::to_string(out.status));
      return trimmed(out.out);
    }
    case Kind::prompt:
      return ask(source.text);
  }
  return fail(Code::internal, "unknown source");
}

}  // namespace

Result<Values> resolve(const plan::Plan& plan, const std::map<std::string, std::string>& environment, const Ask& ask) {
  Values values;
  for (const auto& var : plan.env) {
    auto value = value_of(var.source, environment, ask);
    if (!value) return std::unexpected(std::move(value.error()).during("variable " + var.name));
    values.env[var.name] = *value;
  }
  for (const auto& secret : plan.secrets) {
    auto value = value_of(secret.source, environment, ask);
    if (!value && secret.optional && value.error().code == Code::not_found) continue;
    if (!value) return std::unexpected(std::move(value.error()).during("secret " + secret.name));
    if (value->size() < 8)
      return fail(Code::invalid,
                  "the value of secret " + secret.name + " has fewer than 8 bytes, so it would match too much",
                  "check where the value comes from");
    values.secrets[secret.name] = *value;
  }
  return values;
}

}  // namespace bottle::session
