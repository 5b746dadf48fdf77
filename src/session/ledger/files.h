// Names the files in the directory of a session, and those in the directory of its results.
#pragma once

namespace bottle::session {

// In the directory of a session (Directories::session).
inline constexpr const char* kLedger = "ledger";
inline constexpr const char* kSocket = "socket";      // where the supervisor serves its clients
inline constexpr const char* kInfo = "info.json";     // wire::SessionInfo
inline constexpr const char* kUsage = "usage.json";   // wire::KeptUsage, of the broker
inline constexpr const char* kDelivery = "delivery";  // where the far side of a session takes the workspace

// In the directory of its results (Directories::results_of).
inline constexpr const char* kResult = "result.json";           // wire::SessionResult
inline constexpr const char* kAudit = "egress.jsonl";           // the guard's decisions
inline constexpr const char* kNearAudit = "egress-near.jsonl";  // the broker's decisions
inline constexpr const char* kRecorded = "allow.yaml";          // the rules that a session with --record needed
inline constexpr const char* kArchive = "workspace.tar";        // work that could not be sorted, or is not sorted yet

}  // namespace bottle::session
