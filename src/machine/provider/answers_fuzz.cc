// Whatever a provider's hooks print, what passes the checks must be safe for a terminal, for a variable of the next
// hook and for ssh's command line.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <utility>

#include "machine/provider/answers.h"

using namespace bottle::machine;

namespace {

void demand(bool holds) {
  if (!holds) std::abort();
}

bool shown(const std::string& text) {
  char before = 0;
  return std::ranges::none_of(text, [&](char c) {
    unsigned char now = static_cast<unsigned char>(c), lead = static_cast<unsigned char>(std::exchange(before, c));
    return now < 0x20 || now == 0x7f || (lead == 0xc2 && now < 0xa0);  // also U+0080 to U+009F
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto answer = parse_answer(std::string(reinterpret_cast<const char*>(data), size));
  if (!answer) return 0;
  if (auto created = read_created(*answer))
    demand(!created->id.empty() && shown(created->id) && shown(created->cost_per_hour));
  if (auto where = read_where(*answer)) {
    demand(!where->host.empty() && where->host[0] != '-' && !where->user.empty() && where->user[0] != '-' &&
           where->port != 0);
    demand((where->host + where->user).find_first_of(" \t\n\"'`$;&|<>%@") == std::string::npos && shown(where->host) &&
           shown(where->user));
  }
  for (auto hook : {StatusOf::status, StatusOf::destroy})
    if (auto status = read_status(*answer, hook))
      demand(*status == "gone" || *status == "deleting" || (hook == StatusOf::status && shown(*status)));
  if (auto all = read_list(*answer))
    for (const auto& item : *all)
      demand(!item.id.empty() && !item.kind.empty() &&
             shown(item.id + item.name + item.session + item.owner + item.created + item.status + item.cost_per_hour +
                   item.kind));
  if (auto image = read_image(*answer)) demand(!image->empty() && shown(*image));
  if (auto fetch = read_fetch(*answer, "the-value"))
    demand(!fetch->empty() && fetch->find("the-value") == std::string::npos && fetch->find('\0') == std::string::npos);
  return 0;
}
