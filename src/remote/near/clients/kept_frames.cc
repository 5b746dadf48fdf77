#include "remote/near/clients/kept_frames.h"

#include <algorithm>

#include "wire/request.h"

namespace bottle::remote {

using wire::Frame, wire::FrameType;

void KeptFrames::take(const Frame& frame, bool is_sent) {
  if (frame.type == FrameType::resize) resize_ = frame;
  if (frame.type == FrameType::input && !is_sent) lost_ += frame.bytes.size();
  if (frame.type != FrameType::policy || changes_.size() >= kMost) return;
  if (auto change = wire::decode<wire::PolicyChange>(frame.bytes, wire::From::ours))
    changes_.emplace_back(change->id, frame);
}

void KeptFrames::take(const wire::PolicyChanged& answer) {
  auto found = std::ranges::find(changes_, answer.id, &std::pair<std::string, Frame>::first);
  if (found == changes_.end()) return;
  changes_.erase(answer.ok ? changes_.begin() : found, found + 1);
}

std::vector<Frame> KeptFrames::to_send() const {
  std::vector<Frame> frames;
  if (resize_) frames.push_back(*resize_);
  for (const auto& [id, frame] : changes_) frames.push_back(frame);
  return frames;
}

}  // namespace bottle::remote
