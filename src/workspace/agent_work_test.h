// Supports tests of what comes back after an agent's commands in a copy of a repository.
#pragma once

#include "workspace/workspace_test.h"

namespace bottle::workspace {

class AgentWork : public Workspace {
 protected:
  void SetUp() override {
    Workspace::SetUp();
    make_repository();
  }
  // Runs a command in a copy of the repository as the agent does.
  ReceivedWork after(manifest::WorkspaceMode mode, const std::string& command) {
    auto sent = pack(mode);
    unpack();
    sh("cd " + inside + " && " + command);
    return come_home(sent.base);
  }
  static bool says(const ReceivedWork& back, const std::string& words) {
    return back.text.find(words) != std::string::npos;
  }

  const std::string commit_ = "git -c user.name=a -c user.email=a@b commit -q ";
};

}  // namespace bottle::workspace
