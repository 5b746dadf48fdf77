// Builds the catalog for one configuration: the built-in rules, the operator's rules, and the values of secrets and
// files. Values and placeholders are also exempt from the rules for forms, because the guard reports them by name.
#include "guard/core/scanner.h"

#include <algorithm>
#include <cstddef>

#include "base/ids.h"
#include "base/text/words.h"
#include "scan/join.h"

namespace bottle::guard {

Result<std::unique_ptr<Scanner>> Scanner::make(const Secrets& secrets, const wire::GuardConfig& wanted) {
  auto catalog = TRY(scan::Catalog::builtin());
  if (const auto& own = wanted.own_rules; !own.text.empty()) {
    std::string database = TRY(during("own_rules: the database", from_hex(own.database)));
    TRY(catalog.add(TRY(scan::parse_rules(own.text)), database));
  }
  for (const Secret& secret : secrets.list()) {
    catalog.add_known(secret.name, secret.value);
    // A secret with a name is reported by its name and not by its form. A placeholder is worthless.
    if (!secret.value.empty()) catalog.allow_value(secret.value);
    if (!secret.placeholder.empty()) catalog.allow_value(secret.placeholder);
  }
  for (const auto& each : wanted.known) {
    catalog.add_known(each.name, each.value);
    catalog.allow_value(each.value);
  }
  catalog.build();
  catalog.limit_steady_work();
  for (const std::string& print : wanted.egress.allowed_secrets) {
    bool valid = print.size() == 12 && print.find_first_not_of("0123456789abcdef") == print.npos;
    if (!valid) return fail(Code::invalid, "\"" + print + "\" is not a fingerprint of 12 hexadecimal digits");
    catalog.allow(print);
  }
  return std::unique_ptr<Scanner>(new Scanner(std::move(catalog)));
}

void Scanner::add_work_until(int64_t now) {
  catalog_.add_to_reserve(static_cast<size_t>(std::max<int64_t>(now - filled_, 0)) * kWorkPerMs);
  filled_ = now;
}

bool Scanner::has_known(std::string_view text) {
  auto result = scan::Detector(&catalog_).scan(text);
  return result.incomplete ||
         std::ranges::any_of(result.findings, [](const scan::Finding& found) { return !found.rule; });
}

bool Scanner::repeats(std::string_view name, std::string_view value) {
  constexpr size_t kMost = 256;
  // A longer value is not a piece of a secret.
  if (value.size() > scan::kLongestPiece) return false;
  std::string header = lower(name).append(": ").append(value);
  if (headers_.contains(header)) return true;
  if (headers_.size() >= kMost) headers_.clear();
  headers_.insert(std::move(header));
  return false;
}

std::string Scanner::masked(std::string text) {
  // Text that is not scanned becomes asterisks, which tell the operator nothing, so as much as possible is scanned.
  auto result = scan::Detector(&catalog_, scan::Effort::thorough).scan(text);
  if (result.incomplete) return std::string(text.size(), '*');
  for (const scan::Finding& found : result.findings)
    if (!found.warns())
      std::fill_n(text.begin() + static_cast<std::ptrdiff_t>(found.begin), found.end - found.begin, '*');
  return text;
}

}  // namespace bottle::guard
