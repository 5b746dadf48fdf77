#include "app/output/log_lines.h"

namespace bottle::app {
namespace {

using nlohmann::json;

std::string text_of(const json& object, const char* key) {
  if (!object.is_object() || !object.contains(key)) return "";
  const json& value = object[key];
  if (value.is_number_integer()) return std::to_string(value.get<int64_t>());
  return value.is_string() ? one_line(value.get<std::string>()) : "";
}

const json& member(const json& object, const char* key) {
  static const json none;
  return object.is_object() && object.contains(key) ? object[key] : none;
}

std::string padded(std::string text, size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text + "  ";
}

}  // namespace

std::string egress_line(const json& entry) {
  std::string action = text_of(entry, "action"), time = text_of(entry, "time"), host = text_of(entry, "host");
  if (action.empty()) return "";
  if (size_t t = time.find('T'); t != std::string::npos) time = time.substr(t + 1, 8);
  if (std::string port = text_of(entry, "port"); !port.empty()) host += ":" + port;
  std::string line = padded(time, 8) + padded(action, 5) + padded(text_of(entry, "kind"), 7) + padded(host, 36);
  std::string request = text_of(entry, "method");
  if (std::string path = text_of(entry, "path"); !path.empty()) request += (request.empty() ? "" : " ") + path;
  for (const std::string& part : {request, text_of(entry, "code"), text_of(entry, "reason"),
                                  std::string(text_of(entry, "side") == "near" ? "decided on this machine" : "")})
    if (!part.empty()) line += part + "  ";
  if (std::string count = text_of(entry, "count"); !count.empty()) {
    std::string first = text_of(entry, "first");
    if (size_t t = first.find('T'); t != std::string::npos) first = first.substr(t + 1, 8);
    line += count + " times since " + first + "  ";
  }
  if (std::string out = text_of(entry, "bytes_out"); !out.empty())
    line += out + " bytes out, " + text_of(entry, "bytes_in") + " in";
  while (line.ends_with(' ')) line.pop_back();
  return line;
}

std::vector<Line> look_lines(const json& back) {
  std::vector<Line> lines;
  for (const json& flag : member(back, "flagged"))
    if (flag.is_string()) lines.push_back("  " + flag.get_ref<const std::string&>());
  if (lines.empty()) return lines;
  lines.insert(lines.begin(), {"", "Look at these before you run anything:"});
  if (std::string all = text_of(back, "all_flagged"); !all.empty()) lines.push_back("  all of them are in " + all);
  return lines;
}

std::vector<Line> result_lines(const json& result) {
  std::vector<Line> lines;
  lines.push_back("session " + text_of(result, "session") + ": the agent ended with status " + text_of(result, "exit"));
  const json& back = member(result, "back");
  if (std::string error = text_of(back, "error"); !error.empty())
    lines.push_back("bringing the work back failed: " + error);
  if (const json& told = member(back, "text"); told.is_string())
    for (Line& line : lines_of(told.get_ref<const std::string&>())) lines.push_back(std::move(line));
  const json& egress = member(result, "egress");
  if (std::string allowed = text_of(egress, "allowed"); !allowed.empty())
    lines.push_back(allowed + " connections and requests were allowed");
  if (const json& denied = member(egress, "denied"); denied.is_array() && !denied.empty()) {
    lines.push_back("blocked:");
    for (const json& entry : denied)
      lines.push_back("  " + padded(text_of(entry, "host"), 40) + text_of(entry, "code") + ", " +
                      text_of(entry, "count") + " times");
  }
  const json& receipt = member(result, "receipt");
  if (member(receipt, "confirmed") == true)
    lines.push_back("the engine confirmed that everything of the session is gone");
  else
    for (const json& left : member(receipt, "left"))
      if (left.is_string())
        lines.push_back("not removed: " + left.get_ref<const std::string&>() + "; run `bottle cleanup`");
  for (Line& line : look_lines(back)) lines.push_back(std::move(line));
  return lines;
}

}  // namespace bottle::app
